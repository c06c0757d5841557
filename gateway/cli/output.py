"""What commands print, and how a command fails. What peers have written is escaped: a terminal acts on it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import typer

from gateway.errors import GatewayError
from gateway.observe.quoting import printable

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")


class CommandFailure(Exception):
    """Ends a command with exit code 1 and these lines on standard error."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request."""

    text: str
    """A line for standard output; '' for none."""
    failures: Sequence[str] = ()
    """Lines for standard error: what of the request could not be done."""


def say(text: str = "") -> None:
    """Print a line to standard output."""
    typer.echo(printable(text))


def say_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output."""
    for line in lines:
        say(line)


def complain(text: str) -> None:
    """Print a line to standard error."""
    typer.echo(printable(text), err=True)


def say_json(value: Any) -> None:
    """Print JSON, indented by two. Bytes are printed as Latin-1, other foreign types as their `str`."""
    written = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=_plain).decode()
    typer.echo("\n".join(printable(line, _in_json) for line in written.split("\n")))


def say_answer(answer: BaseModel, *, as_json: bool) -> None:
    """Print an answer of an operation, as JSON or as its text."""
    say_json(answer.model_dump(mode="json")) if as_json else say(str(answer))


async def each(requests: Iterable[T], work: Callable[[T], Awaitable[Reply]]) -> int:
    """Do `work` for each request and print what came of it; the others are done whatever one of them fails of.

    Returns how many failures there were; each is a line on standard error.
    """
    failures = 0
    for request in requests:
        try:
            done = await work(request)
        except GatewayError as error:
            done = Reply("", (str(error),))
        if done.text:
            say(done.text)
        for failure in done.failures:
            complain(failure)
        failures += len(done.failures)
    return failures


def _in_json(character: str) -> str:
    return json.dumps(character)[1:-1]


def _plain(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def time_text(micros: int | None) -> str:
    """Microseconds since 1970 UTC -> `2026-01-05 09:30:00Z`; None is printed as 1970."""
    return datetime.fromtimestamp((micros or 0) / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
