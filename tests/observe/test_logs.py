"""The log: no value of a patient unless it is asked for, whichever way an error reaches it."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import unicodedata
import warnings
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from gateway.errors import InvalidValue
from gateway.observe import logs

NAME = "Testperson^Tilda"
log = logging.getLogger("gateway.somewhere")
Configure = Callable[..., None]


@pytest.fixture
def configure() -> Iterator[Configure]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    raising = logging.raiseExceptions
    levels = {name: logging.getLogger(name).level for name in logs.TALKATIVE}
    with warnings.catch_warnings():
        yield logs.configure
        logging.captureWarnings(False)
    root.handlers[:], root.level, sys.excepthook, threading.excepthook = before
    logging.raiseExceptions = raising
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def invalid() -> InvalidValue:
    """An error with a value in its message, as it comes out of the mapping."""
    try:
        raise InvalidValue(f"{NAME} is no name", place="PID-5")
    except InvalidValue as error:
        return error


def caused() -> RuntimeError:
    try:
        try:
            raise ValueError(NAME)
        except ValueError as error:
            raise RuntimeError(NAME) from error
    except RuntimeError as error:
        return error


def grouped() -> BaseExceptionGroup[Exception]:
    inner = ExceptionGroup(NAME, [invalid(), caused()])
    try:
        raise ExceptionGroup(NAME, [inner, KeyError(NAME)])
    except ExceptionGroup as error:
        return error


def from_the_database() -> Exception:
    try:
        with create_engine("sqlite://").connect() as connection:
            connection.execute(text("SELECT * FROM patients WHERE name = :name"), {"name": NAME})
    except Exception as error:
        return error
    raise AssertionError


def with_traceback() -> None:
    try:
        raise invalid()
    except InvalidValue:
        log.exception("message failed")


WAYS: dict[str, Callable[[], object]] = {
    "the error as the message": lambda: log.error(invalid()),
    "an argument": lambda: log.error("refused: %s", invalid()),
    "its repr": lambda: log.error("refused: %r", invalid()),
    "arguments by name": lambda: log.error("refused: %(error)s", {"error": invalid()}),
    "in a list": lambda: log.error("refused: %s", [invalid()]),
    "in a dict": lambda: log.error("refused: %s %s", {"why": (invalid(),)}, 1),
    "a traceback": with_traceback,
    "a traceback given": lambda: log.error("refused", exc_info=invalid()),
    "a cause": lambda: log.error("refused", exc_info=caused()),
    "a group": lambda: log.error("refused", exc_info=grouped()),
    "the database": lambda: log.error("refused %s", 1, exc_info=from_the_database()),
    "the database as an argument": lambda: log.error("refused: %s", from_the_database()),
    "extra": lambda: log.error("refused", extra={"error": invalid(), "patient_name": NAME, "more": [invalid()]}),
    "a warning": lambda: warnings.warn(f"Invalid value for VR PN: {NAME!r}", UserWarning, stacklevel=1),
}


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("way", WAYS)
def test_no_value_is_written(way: str, form: str, configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form=form, phi=False)
    warnings.simplefilter("always")
    WAYS[way]()
    written = capfd.readouterr().err
    assert written
    assert "Tilda" not in written
    if form == "json":
        assert all(isinstance(json.loads(line), dict) for line in written.splitlines())


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("way", WAYS)
def test_values_are_written_when_asked_for(
    way: str, form: str, configure: Configure, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(level="info", form=form, phi=True)
    warnings.simplefilter("always")
    WAYS[way]()
    written = capfd.readouterr().err
    assert "Tilda" in written
    if form == "json":
        assert all(isinstance(json.loads(line), dict) for line in written.splitlines())


def test_warnings_of_one_line_of_a_library_are_one_cause(
    configure: Configure, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each names another value; what is written of them is the same."""
    configure(level="info", form="json", phi=False)
    warnings.simplefilter("always")
    for number in range(200):
        warnings.warn(f"Invalid value for VR UI: '1.2.{number}'", UserWarning, stacklevel=1)
    configure(level="info", form="json", phi=False)
    first, last = map(json.loads, capfd.readouterr().err.splitlines())
    assert (first["event"], last["repeated"]) == (last["event"], 199)


def test_class_and_place_are_written(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="json", phi=False)
    log.error("refused: %s", invalid())
    with_traceback()
    first, second = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert first["event"] == "refused: InvalidValue at PID-5"
    assert (first["level"], first["logger"]) == ("error", "gateway.somewhere")
    head, *frames = second["event"].splitlines()
    assert head == "message failed: InvalidValue at PID-5"
    assert any("test_logs.py" in frame and frame.endswith("in with_traceback") for frame in frames)


def test_causes_and_groups_are_told_by_their_classes(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="console", phi=False)
    log.error("a", exc_info=caused())
    log.error("b", exc_info=grouped())
    written = capfd.readouterr().err
    for line in (
        "a: RuntimeError", "  from ValueError", "b: ExceptionGroup", "  | ExceptionGroup",
        "  |   | InvalidValue at PID-5", "  |   | RuntimeError", "  |   |   from ValueError", "  | KeyError",
    ):  # fmt: skip
        assert line in written


def test_an_error_that_causes_itself_ends(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="console", phi=False)
    one, two = ValueError(NAME), KeyError(NAME)
    one.__cause__, two.__cause__ = two, one
    log.error("a", exc_info=one)
    assert "KeyError" in capfd.readouterr().err


async def test_a_task_whose_error_nobody_took(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    """asyncio writes the task with its exception into the message."""
    configure(level="info", form="console", phi=False)

    async def fail() -> None:
        raise ValueError(NAME)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    written = capfd.readouterr().err
    assert "Task exception was never retrieved: ValueError" in written
    assert "Tilda" not in written


async def test_a_callback_that_failed(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    """asyncio writes what the callback was called with."""
    configure(level="info", form="console", phi=False)
    called = asyncio.Event()

    def received(data: bytes) -> None:
        called.set()
        raise ValueError(data)

    asyncio.get_running_loop().call_soon(received, NAME.encode())
    await called.wait()
    await asyncio.sleep(0)
    written = capfd.readouterr().err
    assert "Exception in callback" in written
    assert "Tilda" not in written


def test_a_thread_that_failed(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="console", phi=False)

    def fail() -> None:
        raise ValueError(NAME)

    thread = threading.Thread(target=fail, name="reader")
    thread.start()
    thread.join()
    written = capfd.readouterr().err
    assert "the thread reader failed: ValueError" in written
    assert "Tilda" not in written


def test_a_program_that_failed(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="console", phi=False)
    error = invalid()
    sys.excepthook(type(error), error, error.__traceback__)
    written = capfd.readouterr().err
    assert "the program failed: InvalidValue at PID-5" in written
    assert "Tilda" not in written


def test_talkative_libraries_are_quiet_even_at_debug(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="debug", form="console", phi=False)
    log.debug("mine")
    for name in ("pynetdicom.dimse", "pydicom", "sqlalchemy.engine", "aiohttp.access", "alembic.runtime", "asyncio"):
        logging.getLogger(name).info(NAME)
    written = capfd.readouterr().err
    assert "mine" in written
    assert "Tilda" not in written


@pytest.mark.parametrize(("level", "written"), [("info", ["info", "error"]), ("error", ["error"])])
def test_the_level(level: str, written: list[str], configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level=level, form="json", phi=False)
    log.info("x")
    log.error("x")
    assert [json.loads(line)["level"] for line in capfd.readouterr().err.splitlines()] == written


def raised(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


PLACES: dict[str, Callable[[str], object]] = {
    "an argument": lambda text: log.warning("refused: %s", text),
    "the message": lambda text: log.warning(text.replace("%", "")),
    "by name": lambda text: log.warning("refused: %(title)s", {"title": text}),
    "in a list": lambda text: log.warning("refused: %s", [text]),
    "extra": lambda text: log.warning("refused", extra={"title": text, "more": {text: [text]}}),
    "an error": lambda text: log.warning("refused: %s", raised(text)),
    "a traceback": lambda text: log.warning("refused", exc_info=raised(text)),
    "its place": lambda text: log.warning("refused", exc_info=InvalidValue("x", place=text)),
}
FORGED = "CT1\x1b[2J\r\nfalse line\u2028\u202e\x9b31m\x00\u200b"


@pytest.mark.parametrize("phi", [False, True])
@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("place", PLACES)
def test_what_a_peer_writes_is_no_line_and_no_order_to_a_terminal(
    place: str, form: str, phi: bool, configure: Configure, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(level="info", form=form, phi=phi)
    PLACES[place](FORGED)
    written = capfd.readouterr().err
    lines = written.rstrip("\n").split("\n")
    assert all(line.isprintable() for line in lines), written
    # A traceback has lines of its own, which are indented.
    assert all(line.startswith(" ") for line in lines[1:]), written
    if form == "json":
        (line,) = lines
        assert "\x1b" not in str(json.loads(line))


@given(
    st.text(st.characters(codec=None), max_size=30), st.sampled_from(["console", "json"]), st.sampled_from([*PLACES])
)
@example("\xa0", "console", "an argument")
def test_whatever_a_peer_writes_stays_on_its_line(text: str, form: str, place: str) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, raising = root.handlers[:], logging.raiseExceptions
    try:
        logs.configure(level="info", form=form, phi=True)
        (handler,) = root.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        PLACES[place](text)
    finally:
        root.handlers[:], logging.raiseExceptions = handlers, raising
        logging.captureWarnings(False)
    first, *below = stream.getvalue().rstrip("\n").split("\n")
    assert is_plain(first)
    assert all(is_plain(line) and line.startswith(" ") for line in below)


def is_plain(line: str) -> bool:
    """Whether a line shows itself as it is; of what Python calls not printable, spaces of other widths do."""
    return all(one.isprintable() or unicodedata.category(one) == "Zs" for one in line)


def test_a_long_name_is_cut(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="console", phi=False)
    log.warning("refused: %s", "x" * 1_000_000)
    written = capfd.readouterr().err
    assert "x... and 992009 characters more" in written
    assert len(written) < 9_000


def test_names_of_people_are_left_as_they_are(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="console", phi=True)
    name = "Müller^Zoë \u5c71\u7530\u592a\u90ce \u0645\u062d\u0645\u062f"
    log.warning("refused: %s", name)
    assert name in capfd.readouterr().err
