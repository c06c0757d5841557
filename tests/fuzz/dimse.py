"""Coverage-guided fuzzing of what reads DICOM associations: `make fuzz FUZZ=dimse FUZZ_MINUTES=10`.

A finding is anything but the faults that have a name, or ten seconds without an end. The first byte of an input says
in chunks of how many bytes the rest arrives. libFuzzer keeps the bytes that did it in a file `crash-...`.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway.wire.dimse"]):
    from gateway.errors import Malformed
    from gateway.wire.dimse import command, pdu
    from gateway.wire.dimse.command import CommandFault
    from gateway.wire.dimse.framer import Framer
    from gateway.wire.dimse.header import read_header, split_header
    from gateway.wire.dimse.identifier import decode
    from gateway.wire.dimse.message import Assembler
    from gateway.wire.dimse.negotiation import Agreement, Terms, negotiate
    from gateway.wire.dimse.pdu import PduFault
    from gateway.wire.dimse.policy import AcceptorPolicy
    from gateway.wire.dimse.upper_layer import Event

from tests.wire.dimse import raw_peer as raw

POLICY, TERMS = AcceptorPolicy("GATEWAY"), Terms("1.2.3", "FUZZ", 131072)
_NO_MESSAGE_ID = bytes.fromhex("0000100102000000 0000")
"""What a response has not, and `command.read` wants."""


def _seeds() -> list[bytes]:
    stored = raw.pdu(0x04, raw.pdv(5, 3, raw.store_rq()) + raw.pdv(5, 2, b"\x08\x00\x18\x00UI\x04\x001.2\0"))
    whole = raw.associate_rq() + raw.echo_rq() + raw.find_rq() + raw.cancel_rq(1) + stored + raw.RELEASE_RQ
    return [b"\xff" + whole, b"\x07" + whole, b"\xff" + raw.associate_rq(), b"\xff" + stored, b"\x01" + raw.find_rq()]


def _receive(data: bytes) -> None:
    framer, assembler = Framer(131072), Assembler(1_000_000)
    size = data[0] + 1
    try:
        for at in range(1, len(data), size):
            framer.feed(data[at : at + size])
            while (taken := framer.take()) is not None:
                _act(assembler, *taken)
    finally:
        assembler.close()


def _act(assembler: Assembler, event: Event, taken: pdu.Body) -> None:
    body = bytes(taken)
    if event is Event.EVT6:
        request = pdu.read_associate_rq(body)
        version = pdu.protocol_version(body)
        answer = negotiate(
            request, version, "127.0.0.1", (), lambda caller, who: POLICY.admit(caller, who, {}, {}), TERMS
        )
        if isinstance(answer, Agreement):
            accepted = pdu.associate_ac(answer.primitive)
            if int.from_bytes(accepted[2:6], "big") != len(accepted) - 6:
                raise AssertionError("an A-ASSOCIATE-AC of another length than it says")
    elif event is Event.EVT10:
        for fragment in list(pdu.fragments(body)):
            message = assembler.add(fragment)
            if message is not None:
                answer_set = command.response(message.command, 0x0000, instance=message.command.sop_instance)
                if command.read(answer_set + _NO_MESSAGE_ID).sop_class != message.command.sop_class:
                    raise AssertionError("answered for another SOP class")
                _look(bytes(message.data_set))
                message.close()


def _look(data_set: bytes) -> None:
    header = split_header(data_set, raw.EXPLICIT, max_element_bytes=None)
    read_header(header, raw.EXPLICIT)
    decode(header, raw.EXPLICIT)


def one(data: bytes) -> None:
    if data:
        try:
            _receive(data)
        except (PduFault, CommandFault, Malformed):
            pass


def main() -> None:
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(_seeds()):
            (Path(folder) / f"{number}.pdu").write_bytes(seed)
        # libFuzzer keeps what it finds in the first folder: not in one that was given.
        options = ["-timeout=10", "-max_len=4096", "-rss_limit_mb=4096"]
        atheris.Setup([sys.argv[0], folder, *sys.argv[1:], *options], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
