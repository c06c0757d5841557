"""The audit trail: its proof, what is shown and exported of it, and the repositories that it is sent to."""
