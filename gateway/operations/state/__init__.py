"""The state of the gateway, part by part: one reading for page, health check, metrics and command."""
