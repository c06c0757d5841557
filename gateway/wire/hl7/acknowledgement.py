"""General acknowledgements: MSH, MSA and ERR (HL7 2.5.1 ch. 2.9, 2.14.1; 2.3.1 ch. 2.24.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.errors import Malformed
from gateway.value_class import value_class
from gateway.wire.hl7.escapes import Delimiters, escape, read_delimiters
from gateway.wire.hl7.header import Header
from gateway.wire.hl7.message import Message

CODES: dict[int, str] = {
    0: "Message accepted",
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    104: "Value too long",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}
"""Table 0357, message error condition codes."""

_MSA_3_LENGTH = 80
_ERR_7_LENGTH = 2048
_ERR_8_LENGTH = 250


_REQUIRED = {11: "P", 12: "2.5"}
"""MSH-11 and MSH-12 of the answer to a message that does not tell its own."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a message."""

    code: int
    """Table 0357."""
    text: str
    """For the people at the sender: what is wrong and how to mend it."""
    location: str = ""
    """`segment^sequence^field^repetition^component^subcomponent` (ERL), as far as known: `PID^1^3^1^1`."""
    severity: str = "E"
    """Table 0516: E error, F fatal, I information, W warning."""


@value_class
class _Received:
    """What an acknowledgement takes from the message it answers; fields as sent, still encoded."""

    delimiters: Delimiters
    field: Callable[[int], str]
    msh: tuple[str, str, str]
    """The MSH of the answer, as `_msh_around` gives it."""
    codec: str


def acknowledge(message: Message, code: str, problems: Sequence[Problem] = (), *, control_id: str, now: str) -> bytes:
    """The answer to a message that could be read.

    code: MSA-1, table 0008 (AA, AE, AR, CA, CE, CR). control_id, now: MSH-10 and MSH-7 of the answer. Written with the
    sender's delimiters and character set; what that set lacks becomes `?`.
    """
    received = _Received(
        message.delimiters, message.msh.field, _msh_of(message.header, message.delimiters), message.codec
    )
    # Without the mark of the sender's byte order nobody could tell UTF-16 from noise.
    return _mark(message) + _answer(received, code, problems, control_id, now)


def _mark(message: Message) -> bytes:
    """The byte order mark of an answer; UTF-8 needs none, and many receivers of HL7 do not expect one."""
    return message.bom if message.codec.startswith(("utf_16", "utf_32")) else b""


def recoded(message: Message, ack: bytes, code: str, *, control_id: str, now: str) -> bytes:
    """The accept acknowledgement (CA, CE, CR) of a message, with what `ack` says of it unless it is CA."""
    plain = acknowledge(message, code, control_id=control_id, now=now)
    if code == "CA":
        return plain
    given, ours = (one.removeprefix(_mark(message)).decode(message.codec) for one in (ack, plain))
    _, found, rest = given.partition("\rMSA")
    text = "".join([ours.partition("\rMSA")[0], found, rest[:1], code, rest[3:]])
    return _mark(message) + text.encode(message.codec)


MOST_LOOKED_AT: Final = 128 * 1024
"""Of what could not be read: an MSH that stands behind so many bytes is none."""


def reject_unreadable(raw: bytes, problem: Problem, *, code: str = "AR", control_id: str, now: str) -> bytes:
    """The answer to what could not be read as a message: with what its MSH still tells, else a plain one."""
    return _answer(_recovered(raw), code, [problem], control_id, now)


def _recovered(raw: bytes) -> _Received:
    found = re.search(rb"MSH[^\r\n]*", raw[:MOST_LOOKED_AT])
    header = found[0].decode("latin_1") if found else ""
    try:
        delimiters = read_delimiters(header)
    except Malformed:
        delimiters, header = Delimiters(), "MSH|^~\\&"
    fields = header.split(delimiters.field)
    fields.insert(1, delimiters.field)

    def field(n: int) -> str:
        return (fields[n] if n < len(fields) else "") or _REQUIRED.get(n, "")

    trigger = "".join(field(9).split(delimiters.component)[1:2])
    # Latin-1 carries the bytes of any character set through unchanged; our own text in it is ASCII.
    return _Received(delimiters, field, _msh_around(delimiters, trigger, "", field), "latin_1")


def _answer(received: _Received, code: str, problems: Sequence[Problem], control_id: str, now: str) -> bytes:
    delimiters = received.delimiters
    segments = [_msa(received, code, problems)]
    if problems:
        write = _err if _version(received.field(12)) >= (2, 5) else _err_before_2_5
        segments += write(problems, delimiters)
    separator = delimiters.field
    written = [_msh(received, control_id, now), *(separator.join(fields).rstrip(separator) for fields in segments), ""]
    return "\r".join(written).encode(received.codec, "replace")


def _msh(received: _Received, control_id: str, now: str) -> str:
    head, middle, tail = received.msh
    return f"{head}{now}{middle}{escape(control_id, received.delimiters)}{tail}"


@lru_cache(maxsize=128)
def _msh_of(header: Header, delimiters: Delimiters) -> tuple[str, str, str]:
    return _msh_around(delimiters, header.trigger, header.field(18), header.field)


def _msh_around(
    delimiters: Delimiters, trigger: str, charset: str, field: Callable[[int], str]
) -> tuple[str, str, str]:
    """An MSH before its MSH-7, between MSH-7 and MSH-10, and after MSH-10: the same for all messages of a sender."""
    given = (*map(field, (5, 6, 3, 4, 11, 12)), charset)
    *names, processing, version, charset = (_carried(one, delimiters) for one in given)
    structure = ["ACK", escape(trigger, delimiters), "ACK"] if trigger else ["ACK"]
    separator = delimiters.field
    return (
        separator.join(["MSH", field(2), *names, ""]),
        separator.join(["", "", delimiters.component.join(structure), ""]),
        separator.join(["", processing, version, *[""] * 5, charset]).rstrip(separator),
    )


def _msa(received: _Received, code: str, problems: Sequence[Problem]) -> list[str]:
    delimiters = received.delimiters
    stated = (
        _fitting(problems[0].text or CODES.get(problems[0].code, ""), _MSA_3_LENGTH, delimiters)[0] if problems else ""
    )
    return ["MSA", code, _carried(received.field(10), delimiters), stated]


def _err(problems: Sequence[Problem], delimiters: Delimiters) -> list[list[str]]:
    """One ERR for each problem, in the form of 2.5 and later."""
    segments = []
    for problem in problems:
        user_message, whole = _fitting(problem.text, _ERR_8_LENGTH, delimiters)
        diagnostic = "" if whole else _fitting(problem.text, _ERR_7_LENGTH, delimiters)[0]
        error = [str(problem.code), CODES.get(problem.code, ""), "HL70357"]
        segments.append(
            [
                "ERR",
                "",
                delimiters.component.join(_location(problem, delimiters)),
                delimiters.component.join(escape(part, delimiters) for part in error),
                problem.severity,
                "",
                "",
                diagnostic,
                user_message,
            ]
        )
    return segments


def _err_before_2_5(problems: Sequence[Problem], delimiters: Delimiters) -> list[list[str]]:
    """One ERR whose ERR-1 (ELD: segment, sequence, field, code) repeats for each problem."""
    repetitions = []
    for problem in problems:
        error = [str(problem.code), escape(CODES.get(problem.code, ""), delimiters), "HL70357"]
        if not delimiters.subcomponent:
            error = error[:1]
        location = (*_location(problem, delimiters), "", "", "")[:3]
        repetitions.append(delimiters.component.join([*location, delimiters.subcomponent.join(error)]))
    if not delimiters.repetition:
        del repetitions[1:]
    return [["ERR", delimiters.repetition.join(repetitions)]]


def _location(problem: Problem, delimiters: Delimiters) -> list[str]:
    return [escape(part, delimiters) for part in problem.location.split("^")] if problem.location else []


def _fitting(text: str, length: int, delimiters: Delimiters) -> tuple[str, bool]:
    """The text escaped and cut, never within an escape sequence, to `length` characters; is it whole?"""
    for end in range(min(len(text), length), 0, -1):
        fitting = escape(text[:end], delimiters)
        if len(fitting) <= length:
            return fitting, end == len(text)
    return "", not text


def _carried(raw: str, delimiters: Delimiters) -> str:
    """A field as received, but for the control characters that would break our own segments or block."""
    if raw.isprintable():
        return raw
    return "".join(escape(c, delimiters) if c < " " and c != "\x1b" else c for c in raw)


def _version(version_id: str) -> tuple[int, ...]:
    """MSH-12 as numbers; a version that cannot be read counts as 2.5."""
    found = re.match(r"(\d{1,3})\.(\d{1,3})", version_id)
    return (int(found[1]), int(found[2])) if found else (2, 5)
