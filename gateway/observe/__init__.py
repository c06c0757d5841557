"""What the gateway tells those who run it: log lines and metrics, both without patient data."""
