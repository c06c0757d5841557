"""Station `instance_availability`: an archive states which instances of a study it has (PS3.4 Annex R)."""
