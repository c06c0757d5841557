"""What the gateway sends in HL7 v2: statuses of examinations field by field, and messages that are passed on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.assembly.conformance.mapping_rows import how_of
from gateway.assembly.destinations import receiver_of
from gateway.config.destinations import Destination
from gateway.config.tree import Config
from gateway.journey.ris_status.making import StatusReceiver
from gateway.mapping import STATUSES, Mappings
from gateway.mapping.status.dialect import holds_for
from gateway.mapping.status.shapes import FIRST_VERSION, SHAPES
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.wire.charsets import table_name
from gateway.wire.hl7.answers import ACCEPTED, REFUSED
from gateway.wire.hl7.field_names import field_names
from gateway.wire.tls import PROFILE


def sections(config: Config, mappings: Mappings) -> Iterator[StatementSection]:
    """Each destination; without any, what a destination could be sent."""
    destinations = config.hl7.destinations
    columns = (
        "Destination", "Address", "TLS", "Status messages", "For orders that are", "Passed on unchanged",
        "Connections", "Timeout", "Tries",
    )  # fmt: skip
    rows = [_destination(one) for one in destinations] or [("none", *["–"] * 8)]
    text = _SENT.format(accepted=", ".join(sorted(ACCEPTED)), refused=", ".join(sorted(REFUSED)))
    yield StatementSection("1.7", "Messages that are sent", text, (StatementTable("Destinations", columns, rows),))
    sent = [one for one in destinations if one.status]
    for number, one in enumerate(sent, 1):
        receiver = receiver_of(config, one)
        tables = (_header(receiver), *_segments(mappings, receiver.kind, receiver.header.version))
        yield StatementSection(f"1.7.{number}", f"{receiver.kind} to {one.name}", "", tables)
    for number, kind in enumerate(() if sent else SHAPES, 1):
        yield StatementSection(
            f"1.7.{number}", f"{kind}, where a destination asks for it", "", _segments(mappings, kind)
        )


def _destination(one: Destination) -> tuple[str, ...]:
    return (
        one.name, f"{one.host}:{one.port}", PROFILE if one.tls else "none", one.status or "none",
        ", ".join(one.statuses) if one.status else "–", ", ".join(one.forward) or "none", str(one.connections),
        f"{one.timeout_seconds:g} s", f"after {one.retry.first_seconds:g} s, doubling to {one.retry.max_seconds:g} s",
    )  # fmt: skip


def _header(receiver: StatusReceiver) -> StatementTable:
    header = receiver.header
    values = {
        "MSH-3": header.sending[0], "MSH-4": header.sending[1], "MSH-5": header.receiving[0],
        "MSH-6": header.receiving[1], "MSH-7": "date and time with offset", "MSH-9": "^".join(header.type),
        "MSH-10": "its own for each message, the same at each try", "MSH-11": header.processing_id,
        "MSH-12": header.version, "MSH-18": table_name(header.charset) if header.charset else "",
    }  # fmt: skip
    return StatementTable("MSH", ("Field", "Value"), [(key, value or "(empty)") for key, value in values.items()])


def _segments(mappings: Mappings, kind: str, version: str = "") -> tuple[StatementTable, ...]:
    shape, file, names = SHAPES[kind], mappings.files[STATUSES], field_names(version or "2.5.1")
    columns = ("Field", "Name", "Values, the first that there is", "How")
    return tuple(
        StatementTable(
            f"{segment}{_comment(segment, shape.required, shape.of_steps)}", columns,
            [
                (row.target.partition("@")[0],
                 names.get(row.target.partition("@")[0], "–"), ", ".join(row.sources) or "–",
                 "; ".join(filter(None, (how_of(row), _since(row.target)))))
                for row in file.rows[segment]
                if holds_for(row.target, {one.target for one in file.rows[segment]}, kind[:3])
            ],
        )
        for segment in shape.segments
    )  # fmt: skip


def _comment(segment: str, required: frozenset[str], of_steps: tuple[str, ...]) -> str:
    parts = [
        "always" if segment in required else "where a value is known",
        *(["for each scheduled step"] if segment in of_steps else []),
        *(filter(None, [_since(segment)])),
    ]
    return f" ({', '.join(parts)})"


def _since(name: str) -> str:
    first = FIRST_VERSION.get(name)
    return f"from version {first[0]}.{first[1]} on" if first else ""


_SENT: Final = """\
A status is sent when a performed step (MPPS) changes what an order has come to, and when a link of an examination to
an order changes. Statuses of one order are sent in their order, each after the acknowledgement of the one before.
MSA-1 {accepted} ends the work; {refused} leaves the decision to a person; without an answer in time, the same bytes
are sent again. Messages that are passed on have the bytes with which they came. MLLP as received, release 1."""
