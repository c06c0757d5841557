"""Coverage-guided fuzzing of what reads HL7: `make fuzz FUZZ_MINUTES=10`, or with FUZZ_SEEDS=FOLDER of messages.

A finding is anything but the errors that have a name, a message that is not written back as it came, a fault of ours
(`internal error`), or ten seconds without an end. libFuzzer keeps the bytes that did it in a file `crash-...`.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["gateway.wire", "gateway.mapping", "gateway.records", "gateway.journey"]):
    from gateway.assembly.mappings import load_mappings
    from gateway.assembly.readers import make_reader
    from gateway.config.tree import Config
    from gateway.errors import NeedsPerson, Rejected
    from gateway.journey import scheduling
    from gateway.journey.order_intake.reading import MessageReader
    from gateway.wire.hl7 import batch as hl7_batch
    from gateway.wire.hl7.mllp_framing import Deframer, frame
    from gateway.wire.hl7.parsing import parse

from sqlalchemy import Engine

from gateway.store import migrations
from gateway.store.engine import open_engine
from tests.journey.messages import adt, orm

AT = 1_900_000_000_000_000


def _seeds() -> list[bytes]:
    """Messages of each kind that is served."""
    order = orm(more=["OBX|1|NM|8302-2^Height^LN||170|cm", "NTE|1||careful"])
    visit = order.replace(b"ORM^O01", b"SIU^S13").replace(b"PID|1", b"SCH|P1|F1||||||||||1^^^20301124093000\rPID|1")
    return [
        order,
        orm(control="XO", charset="8859/1", name="MÜLLER^Ä~Y^Z^^^^^^I"),
        orm(charset="~ISO IR87", name="X^Y~梨本^怡子^^^^^^I"),
        order.replace(b"ORM^O01", b"OMI^O23") + b"IPC|ACC1^X|RP1|1.2.3.4|SPS1|CT\r",
        order.replace(b"ORM^O01", b"ORU^R01"),
        visit,
        adt("A08"),
        adt("A40", prior="OLD^^^HOSP"),
        b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + order + orm(control_id="2") + b"BTS|2\rFTS|1\r",
        frame(order) + frame(adt("A10")),
    ]


class Target:
    """What every input is put through."""

    def __init__(self, folder: str) -> None:
        config = Config(database={"url": f"sqlite:///{folder}/gateway.db"})
        self.reader: MessageReader = make_reader(config, load_mappings(config))
        self.engine: Engine = open_engine(config.database.url)
        migrations.prepare(self.engine)
        self.listener = config.hl7.listeners[0].name

    def __call__(self, data: bytes) -> None:
        deframer = Deframer()
        deframer.feed(data)
        blocks = [data]
        while (block := deframer.next()) is not None:
            blocks.append(block)
        for block in blocks:
            batch = hl7_batch.split(block)
            for raw in batch.messages if batch else [block]:
                self.message(raw)

    def message(self, raw: bytes) -> None:
        try:
            message = parse(raw)
        except Rejected:
            return
        if message.encode() != raw:
            raise AssertionError("written back otherwise than it came")
        reading = self.reader.read(raw, AT, self.listener)
        if isinstance(reading.error, NeedsPerson):
            raise AssertionError(f"a fault of ours: {reading.error}")
        if reading.statements:
            self.apply(reading.statements)

    def apply(self, statements: Any) -> None:
        with self.engine.connect() as connection:
            try:
                scheduling.apply(
                    connection, statements, now=AT, policy=scheduling.Policy(), history=self.reader.history
                )
            except Rejected:
                pass
            connection.rollback()


def main() -> None:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        for number, seed in enumerate(_seeds()):
            (seeds / f"{number}.hl7").write_bytes(seed)
        # libFuzzer keeps what it finds in the first folder: not in one that was given.
        options = ["-timeout=10", "-max_len=4096", "-rss_limit_mb=4096"]
        atheris.Setup([sys.argv[0], str(seeds), *sys.argv[1:], *options], Target(folder))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
