"""What commands print, and how a command fails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import typer


class Failure(Exception):
    """Ends a command with exit code 1 and these lines on standard error."""


def say(text: str = "") -> None:
    typer.echo(text)


def say_json(value: Any) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=_plain).decode())


def _plain(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def local_time(micros: int | None) -> str:
    return datetime.fromtimestamp((micros or 0) / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
