"""Section `database`."""

from __future__ import annotations

from pydantic import Field, field_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gateway.config.fields import Seconds, Section


class Database(Section):
    url: str = Field(default="sqlite:///gateway.db", repr=False)
    """Where everything is kept (or `url_file`); holds a password, so nothing prints it."""
    answer_seconds: Seconds = 15.0
    """How long an order, a query or an image waits for a database that hangs, before its sender is refused."""
    job_seconds: Seconds = 600.0
    """How long a statement of a job may take that nobody waits for: retention, an export, a comparison."""

    @field_validator("url")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        try:
            make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError("is not an address such as postgresql://USER:PASSWORD@HOST:5432/NAME") from None
        return value
