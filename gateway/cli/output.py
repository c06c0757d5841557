"""What commands print, and how a command fails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import typer


class CommandFailure(Exception):
    """Ends a command with exit code 1 and these lines on standard error."""


def say(text: str = "") -> None:
    """Print to standard output."""
    typer.echo(text)


def say_json(value: Any) -> None:
    """Print JSON, indented by two. Bytes are printed as Latin-1, other foreign types as their `str`."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=_plain).decode())


def _plain(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def time_text(micros: int | None) -> str:
    """Microseconds since 1970 UTC -> `2026-01-05 09:30:00Z`; None is printed as 1970."""
    return datetime.fromtimestamp((micros or 0) / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
