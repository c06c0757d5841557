"""Station `step_forwarding`: other MPPS SCPs get what modalities state of performed steps here, others
notifications of studies."""
