"""A cause that repeats: one line at once, one with the number; nothing is lost, nothing is mixed up."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest

from gateway.errors import InvalidValue
from gateway.observe.repeats import CountingHandler
from tests.conftest import until


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


Made = Callable[..., CountingHandler]


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log() -> logging.Logger:
    logger = logging.Logger("gateway.somewhere")
    logger.setLevel(logging.INFO)
    return logger


@pytest.fixture
def handler(written: io.StringIO, log: logging.Logger) -> Iterator[Made]:
    made: list[CountingHandler] = []

    def make(**settings: object) -> CountingHandler:
        one = CountingHandler(written, **settings)  # type: ignore[arg-type]
        one.setFormatter(logging.Formatter("%(message)s %(repeated)s", defaults={"repeated": "-"}))
        log.addHandler(one)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def test_a_cause_is_written_once_a_minute_with_its_number(
    handler: Made, written: io.StringIO, log: logging.Logger
) -> None:
    clock = Clock()
    handler(clock=clock)
    for number in range(200):
        log.warning("instance %d from %s refused with %s", number, "CT1", "A900")
    assert written.getvalue() == "instance 0 from CT1 refused with A900 -\n"
    clock.now = 60.0
    for number in range(200, 205):
        log.warning("instance %d from %s refused with %s", number, "CT1", "A900")
    clock.now = 120.0
    log.warning("another")
    assert written.getvalue().splitlines()[1:] == [
        "instance 199 from CT1 refused with A900 199", "instance 204 from CT1 refused with A900 5", "another -",
    ]  # fmt: skip
    clock.now = 500.0
    log.warning("instance %d from %s refused with %s", 205, "CT1", "A900")
    assert written.getvalue().splitlines()[-1] == "instance 205 from CT1 refused with A900 -"


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as raised:
        return raised


SAME: list[tuple[Callable[[logging.Logger], None], Callable[[logging.Logger], None]]] = [
    (lambda log: log.warning("%s sent %d bytes", "RIS", 5), lambda log: log.warning("%s sent %d bytes", "RIS", 7)),
    (lambda log: log.warning("lost: %s", "1.2.840.10008.7.1"), lambda log: log.warning("lost: %s", "1.2.840.10008.9")),
    (lambda log: log.warning("%s", "4 bytes there"), lambda log: log.warning("%s", "71 bytes there")),
    (lambda log: log.error("no: %s", ValueError("a")), lambda log: log.error("no: %s", ValueError("b"))),
    (lambda log: log.error("no: %s", "'a' is no UID"), lambda log: log.error("no: %s", "'b' is no UID")),
    (lambda log: log.error("%(n)d", {"n": 1}), lambda log: log.error("%(n)d", {"n": 2})),
    (
        lambda log: log.error("%d", 1, exc_info=_raised(KeyError("a"))),
        lambda log: log.error("%d", 2, exc_info=_raised(KeyError("b"))),
    ),
]
OTHER: list[tuple[Callable[[logging.Logger], None], Callable[[logging.Logger], None]]] = [
    (lambda log: log.warning("%s is away", "CT1"), lambda log: log.warning("%s is away", "CT2")),
    (lambda log: log.warning("from %s", "10.1.0.4"), lambda log: log.warning("from %s", "10.1.0.5")),
    (lambda log: log.warning("%s", "HTTP 401"), lambda log: log.warning("%s", "HTTP 403")),
    (lambda log: log.warning("x"), lambda log: log.error("x")),
    (
        lambda log: log.error("no: %s", InvalidValue("a", place="PID-3")),
        lambda log: log.error("no: %s", InvalidValue("a", place="PID-5")),
    ),
    (lambda log: log.info("started"), lambda log: log.info("started")),
]


@pytest.mark.parametrize(("pair", "lines"), [*((one, 1) for one in SAME), *((one, 2) for one in OTHER)])
def test_what_is_one_cause(
    pair: tuple[Callable[[logging.Logger], None], ...], lines: int, handler: Made, written: io.StringIO,
    log: logging.Logger,
) -> None:  # fmt: skip
    handler()
    for write in pair:
        write(log)
    assert sum(line.endswith(" -") for line in written.getvalue().splitlines()) == lines


async def test_the_number_is_written_when_the_time_is_over_though_nothing_else_is_logged(
    handler: Made, written: io.StringIO, log: logging.Logger
) -> None:
    clock = Clock()
    handler(seconds=0.05, clock=clock)
    for _ in range(3):
        log.warning("away")
    assert written.getvalue() == "away -\n"
    clock.now = 0.05
    await until(lambda: written.getvalue() == "away -\naway 2\n", what="the line with the number")


def test_nothing_is_lost_at_the_end(handler: Made, written: io.StringIO, log: logging.Logger) -> None:
    one = handler()
    for name in ("a", "b", "a", "b", "b"):
        log.warning(name)
    one.close()
    one.close()
    assert written.getvalue().splitlines() == ["a -", "b -", "a 1", "b 2"]
    log.warning("a")
    assert written.getvalue().splitlines()[-1] == "a -"


def test_a_record_that_has_no_text_does_no_harm(
    handler: Made, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        def __str__(self) -> str:
            raise ValueError

    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler()
    for _ in range(2):
        log.warning("%s", Silent())


def test_many_causes_take_no_more_memory(handler: Made, written: io.StringIO, log: logging.Logger) -> None:
    one = handler(most_causes=10)
    log.warning("a")
    log.warning("a")
    for letter in "bcdefghijklmnop":
        log.warning(letter)
    assert len(one._windows) == 10
    assert "a 1" in written.getvalue().splitlines()
