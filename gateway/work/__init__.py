"""The outbox at work: the worker that claims due rows, and the breaker that spares a receiver which does not answer."""
