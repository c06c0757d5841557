"""Any folder of HL7 messages sent to a running gateway: what each type was answered, and why.

`make corpus CORPUS=FOLDER`. Every file is one block over MLLP; a batch is answered by a batch.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import gateway_process
from bench.figures import Table, rendered
from gateway.errors import GatewayError
from gateway.wire.hl7 import batch as hl7_batch
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse

SUFFIXES = (".hl7", ".hl7v2", ".txt")
SHOWN = 10


@dataclass(frozen=True)
class Answered:
    """A message and its acknowledgement."""

    file: str
    type: str
    """`ORM^O01`; `(unreadable)` when its MSH cannot be read."""
    code: str
    """MSA-1."""
    condition: str
    """Of table 0357."""
    text: str
    """What a person at the sender would read."""


def files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.suffix in SUFFIXES and one.is_file())


async def send(port: int, paths: Iterable[Path], *, root: Path) -> list[Answered]:
    """Send each file as it is, over one connection. Raises when one is not answered, or not by as many as it holds."""
    found: list[Answered] = []
    async with MllpClient("127.0.0.1", port, timeout=60) as client:
        for path in paths:
            raw = path.read_bytes()
            if _is_answer(raw):
                continue  # an acknowledgement gets none
            answers = list(_acknowledgements(await client.send(raw)))
            batch = hl7_batch.split(raw)
            messages = batch.messages if batch else [raw]
            if len(answers) != len(messages):
                raise RuntimeError(f"{path}: {len(messages)} messages, {len(answers)} answers")
            name = str(path.relative_to(root))
            found += [_answered(name, one, ack) for one, ack in zip(messages, answers, strict=True)]
    return found


def _is_answer(raw: bytes) -> bool:
    """Whether the file holds an acknowledgement, which is no message to be answered."""
    try:
        return parse(raw).type in ("ACK", "MCF")
    except GatewayError:
        return False


def _acknowledgements(answer: bytes) -> Iterator[bytes]:
    for part in re.split(rb"(?:^|\r)(?=MSH)", answer):
        if part.startswith(b"MSH"):
            yield re.split(rb"\r(?:BTS|FTS)", part)[0] + b"\r"


def _answered(file: str, raw: bytes, ack: bytes) -> Answered:
    answer = parse(ack)
    msa, err = answer.first("MSA"), answer.first("ERR")
    condition = "" if err is None else (err.leaf(3) or err.leaf(1, 4))
    text = err.leaf(8) if err is not None and err.leaf(8) else msa.leaf(3) if msa else ""
    return Answered(file, _type(raw), msa.leaf(1) if msa else "", condition, text)


def _type(raw: bytes) -> str:
    try:
        message = parse(raw)
    except GatewayError:
        found = re.search(rb"MSH(.)[^\r\n]*", raw)
        fields = found[0].decode("latin_1").split(found[1].decode("latin_1")) if found else []
        kind = "^".join(fields[8].split("^")[:2]) if len(fields) > 8 else ""
        return kind or "(unreadable)"
    return f"{message.type}^{message.trigger}"


def table(answered: Sequence[Answered]) -> Table:
    """Message type against outcome."""
    outcomes = sorted({_outcome(one) for one in answered})
    counted = Counter((one.type, _outcome(one)) for one in answered)
    rows = [
        [kind, *(str(counted[kind, outcome] or "") for outcome in outcomes)]
        for kind in sorted({one.type for one in answered})
    ]
    rows.append(["together", *(str(sum(_outcome(one) == outcome for one in answered)) for outcome in outcomes)])
    return Table(f"{len(answered)} messages, each answered", ["MSH-9", *outcomes], rows)


def _outcome(one: Answered) -> str:
    return f"{one.code} {one.condition}".strip()


def refused(answered: Sequence[Answered], shown: int = SHOWN) -> list[Answered]:
    """Some that were not accepted, of as many kinds as there are."""
    kinds: dict[tuple[str, str], list[Answered]] = {}
    for one in answered:
        if not one.code.endswith("A"):
            kinds.setdefault((_outcome(one), re.sub(r"'[^']*'|\d+", "", one.text)), []).append(one)
    return [group[0] for group in kinds.values()][:shown]


def main() -> None:
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        configuration = gateway_process.settings(f"sqlite:///{name}/gateway.db")
        with gateway_process.running(Path(name), configuration) as gateway:
            answered = asyncio.run(send(gateway.hl7_port, files(folder), root=folder))
            resident = gateway.rss()
    print(rendered(table(answered)))
    print(f"\nThe gateway took {resident:.0f} MiB at the end. Some that were refused:\n")
    for one in refused(answered):
        print(f"{_outcome(one)}  {one.type}  {one.file}\n    {one.text}")


if __name__ == "__main__":
    main()
