"""The console: health, metrics, the JSON API and the night operator's page, over one `Store`."""

from gateway.console.auth import guard
from gateway.console.health import Component
from gateway.console.server import build

__all__ = ["Component", "build", "guard"]
