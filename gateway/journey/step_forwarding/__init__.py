"""Station `step_forwarding`: other MPPS SCPs get each N-CREATE and N-SET that a modality has made here."""
