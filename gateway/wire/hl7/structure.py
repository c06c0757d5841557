"""Checks the structure of HL7 messages with hl7apy: segments, their order and number, data types, lengths, tables.

hl7apy takes some ten milliseconds of processor for a message, so it works in a process of its own: `Checker` starts
this module and speaks JSON lines with it. A finding never holds a value of the message.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from gateway.errors import Place, Unavailable
from gateway.wire.hl7.newer_segments import without_newer


class Severity(StrEnum):
    """What a finding is about; the text begins with the value."""

    STRUCTURE = "structure"
    """The standard's abstract syntax forbids it."""
    VALUE = "value"
    """Lengths and tables."""


@dataclass(frozen=True, slots=True)
class StructureFinding:
    """One departure of a message from the standard; holds no value of the message."""

    place: Place
    text: str
    severity: Severity | None = None
    """None: about the check itself."""

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}" if self.severity else self.text

    def as_row(self) -> dict[str, str]:
        """The JSON that the store keeps with the message."""
        return {"place": str(self.place), "text": str(self)}


def is_of_structure(row: Mapping[str, str]) -> bool:
    """Whether a finding that is kept is one of a structure check."""
    return row["text"].startswith(tuple(f"{severity}: " for severity in Severity))


MSH: Final = Place("MSH")
SHOWN: Final = 10
"""Of more faults only the number is reported."""
LONGEST: Final = 256 * 1024
"""Characters of a message; longer ones are not checked."""
NEWEST_VERSION: Final = "2.8.2"
"""That hl7apy knows."""
NEWER_VERSIONS: Final = ("2.9", "2.9.1")
"""Checked by the rules of `NEWEST_VERSION`; what they add is set aside (`newer_segments`)."""
SECONDS: Final = 60.0
"""For one message, and for the start of the process."""
LINE_BYTES: Final = 4 * 1024 * 1024
YIELDS: Final = "--yields"


class Checker:
    """One process that checks messages, one at a time; started when it is needed, and again when it has died.

    `yields`: the process takes only the time that no other process wants. A busy machine may never have any: not for
    messages that wait for their answer.
    """

    def __init__(self, *, yields: bool) -> None:
        self._options = [YIELDS] if yields else []
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def faults(self, text: str, version: str = "") -> list[StructureFinding]:
        """What is wrong with a decoded message. `version`: HL7 version to go by; empty: that of MSH-12.

        Raises `Unavailable` when the check itself fails.
        """
        if len(text) > LONGEST:
            return [StructureFinding(MSH, f"not checked: longer than {LONGEST:,} characters")]
        async with self._turn:
            done = False
            try:
                async with asyncio.timeout(SECONDS):
                    found = await self._ask({"text": text, "version": version})
                done = True
            except (OSError, TimeoutError, ValueError) as error:
                raise Unavailable(f"the structure could not be checked ({type(error).__name__})") from error
            finally:
                if not done:
                    await self._end()
        return found

    async def close(self) -> None:
        async with self._turn:
            await self._end()

    async def _ask(self, question: dict[str, str]) -> list[StructureFinding]:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, *self._options, stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES,
            )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(question).encode() + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise ConnectionError("the checking process ended")
        return [
            StructureFinding(Place(segment, field), text, Severity(severity) if severity else None)
            for segment, field, text, severity in json.loads(line)
        ]

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


# In the process of its own


def check(text: str, version: str) -> list[StructureFinding]:
    """The faults that hl7apy finds. Raises nothing: what it cannot read is a fault."""
    from hl7apy import load_library
    from hl7apy.exceptions import HL7apyException

    header, end, rest = without_newer(text).partition("\r")
    separator, component = header[3:4] or "|", header[4:5] or "^"
    fields = header.split(separator) + [""] * 12
    fields[11] = version or fields[11]
    if fields[11] in NEWER_VERSIONS:
        fields[11] = NEWEST_VERSION
    kind, trigger, *structure = [*fields[8].split(component), ""][:3]
    try:
        known = load_library(fields[11]).MESSAGES
    except HL7apyException:
        return [StructureFinding(Place("MSH", 12), "there is no HL7 version of this name", Severity.STRUCTURE)]
    if not any(one in known for one in structure):
        # Before 2.3.1 nobody says the structure, and hl7apy finds it for the first of each kind only.
        found_structure = next((one for one in _structures(kind, trigger) if one in known), None)
        if found_structure is None:
            unknown = "not checked: no structure of this message is known"
            return [StructureFinding(Place("MSH", 9), unknown, Severity.VALUE)]
        fields[8] = component.join((kind, trigger, found_structure))
    if fields[11] == "2.7":
        rest = _SET_ID_OF_TIMING.sub(r"\1", rest)
    return _validated(separator.join(fields).rstrip(separator) + end + rest)


def _validated(text: str) -> list[StructureFinding]:
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_message

    with _report() as name:
        try:
            message = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=True)
            with contextlib.suppress(HL7apyException):
                message.validate(report_file=name)
        except Exception as error:
            unreadable = f"not readable as declared ({type(error).__name__})"
            return [StructureFinding(MSH, unreadable, Severity.STRUCTURE)]
        found = list(_faults(Path(name).read_text(encoding="utf-8")))
    more = len(found) - SHOWN
    return found[:SHOWN] + ([StructureFinding(MSH, f"{more} further faults", Severity.VALUE)] if more > 0 else [])


@contextlib.contextmanager
def _report() -> Iterator[str]:
    """The name of a file for a report, which may quote the message: in memory, where the system has such files."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile("r", suffix=".txt") as file:
            yield file.name
        return
    descriptor = os.memfd_create("report")
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _structures(kind: str, trigger: str) -> Iterator[str]:
    """What MSH-9.3 may be, likeliest first (HL7 table 0354)."""
    yield f"{kind}_{trigger}"
    yield from (f"{kind}_{one}" for one in _SAME_AS.get((kind, trigger), ()))


_SAME_AS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    **{("ADT", trigger): ("A01",) for trigger in ("A04", "A08", "A13")},
    **{("ADT", trigger): ("A05", "A01") for trigger in ("A05", "A14", "A28", "A31")},
    ("ADT", "A07"): ("A06",),
    **{("ADT", trigger): ("A09", "A12") for trigger in ("A10", "A11", "A12")},
    ("ADT", "A23"): ("A21",),
    ("ADT", "A40"): ("A39",),
    ("ADT", "A47"): ("A30",),
    **{("SIU", trigger): ("S12",) for trigger in ("S13", "S14", "S15", "S26")},
}
_LINE: Final = re.compile(r"^(Error|Warning): (.*)$")
_CHOICE: Final = re.compile(r"^Missing required child \w+_(?:CHOICE|SUPPGRP)\.")
"""hl7apy asks for every member of a group of which the standard asks for one."""
_SET_ID_OF_TIMING: Final = re.compile(r"((?:^|\r)TQ1[^\w\r])\d+")
"""TQ1-1. hl7apy has no definition of this field in 2.7, and reads no message that has the field."""
_FIELD: Final = re.compile(r"\b([A-Z][A-Z0-9]{2})_(\d+)\b")
_SEGMENT: Final = re.compile(r"\.([A-Z][A-Z0-9]{2})\b")
_VALUE: Final = re.compile(r"^Value (.*) not in table (\S+) in element (\S+)$", re.DOTALL)
_TAKEN: Final[dict[str, frozenset[str]]] = {
    "HL70211": frozenset({"UNICODE UTF-8", "8859/15", "GB 18030-2000", "KS X 1001", "CNS 11643-1992", "BIG-5"}),
    "HL70074": frozenset({
        "AR", "BI", "BMD", "CR", "CT", "DG", "DX", "ECG", "EPS", "ES", "GM", "HD", "IO", "IVOCT", "IVUS", "KER", "LEN",
        "LS", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPV", "OSS", "PT", "PX", "RF", "RG", "SM", "SRF",
        "TG", "US", "VA", "XA", "XC",
    }),
}  # fmt: skip
"""What a table of older versions lacks, and is no fault: character sets that later versions name, and in OBR-24 the
modalities of DICOM (PS3.16 CID 29), which IHE RAD-4 puts there."""
_ELEMENT: Final = re.compile(r"<(\w+) (\S+?)(?: \([^>]*)?>")


def _faults(report: str) -> Iterator[StructureFinding]:
    seen = set()
    for line in report.splitlines():
        found = _LINE.match(line)
        if found is None or _CHOICE.match(found[2]) or _is_taken(found[2]):
            continue
        text = _VALUE.sub(r"not in table \2: element \3", found[2])
        text = _ELEMENT.sub(r"\2", text)
        field, segment = _FIELD.search(text), _SEGMENT.search(text)
        place = Place(field[1], int(field[2])) if field else Place(segment[1]) if segment else MSH
        if (place, text) not in seen:
            seen.add((place, text))
            yield StructureFinding(place, text, Severity.STRUCTURE if found[1] == "Error" else Severity.VALUE)


def _is_taken(text: str) -> bool:
    value = _VALUE.match(text)
    return value is not None and value[1].strip("'\"") in _TAKEN.get(value[2], ())


def main() -> None:
    """Answer each line of standard input; ends with it, so it never outlives the gateway."""
    if YIELDS in sys.argv[1:]:
        os.nice(19)
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        asked: dict[str, Any] = json.loads(line)
        findings = check(asked["text"], asked["version"])
        rows = [[one.place.segment, one.place.field, one.text, one.severity or ""] for one in findings]
        answer = json.dumps(rows).encode() + b"\n"
        try:
            # Past Python's buffers: at the end there is nothing left to be flushed to a gateway that is gone.
            os.write(sys.stdout.fileno(), answer)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
