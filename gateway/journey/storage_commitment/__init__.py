"""Station `storage_commitment`: who asks for it learns which instances are safe, so that they may be deleted there."""
