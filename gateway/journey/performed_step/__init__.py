"""Station `performed_step`: what a modality performs (MPPS), and how it moves the scheduled steps."""
