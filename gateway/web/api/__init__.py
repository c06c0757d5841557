"""The JSON API under `/api`, `/health` and `/metrics`: requests, handlers, answers and the OpenAPI description."""
