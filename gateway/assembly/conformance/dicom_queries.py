"""What the gateway asks archives for by Query/Retrieve, as SCU (N.5.2.10.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.config.tree import Config
from gateway.errors import NeedsPerson, Unavailable
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.wire.dimse.requestor_query import FAILURES, FIND, GET, MOVE, LimitedAnswersError
from gateway.wire.dimse.requestor_retrieve import WARNING

OPERATIONS: Final = {
    FIND: "C-FIND, at study, series and image level",
    GET: "C-GET, of an instance of each series where a source has headers: instance, or names no SOP classes",
    MOVE: "C-MOVE, the same, where a source has retrieve: move",
}
"""Study Root Query/Retrieve Information Model -> the operations, and when."""


def classes_of_sources(config: Config) -> frozenset[str]:
    """UIDs of the SOP classes that the configured sources are asked for."""
    sources = [one for one in config.studies.sources if one.kind == "dicom"]
    found = {FIND} if sources else set()
    return frozenset(found.union(GET if one.retrieve == "get" else MOVE for one in sources))


def sections(config: Config) -> Iterator[StatementSection]:
    """N.5.2.10.1."""
    rows = [
        (
            one.name, one.ae_title or "", one.calling_ae or config.dicom.ae_title, one.headers, one.retrieve,
            "Y" if one.tls else "N", f"{one.timeout_seconds:g} s", f"{one.every_seconds:g} s",
        )
        for one in config.studies.sources
        if one.kind == "dicom"
    ]  # fmt: skip
    columns = ("Name", "Called AE title", "Calling AE title", "Headers", "Retrieve", "TLS", "Timeout", "Pause")
    sources = StatementTable("Sources", columns, rows or [("none", *["–"] * 7)])
    text = _QUERIES.format(ae=config.dicom.ae_title)
    yield StatementSection("N.5.2.10.1", "Query/Retrieve as SCU", text, (sources, _statuses()))


def _statuses() -> StatementTable:
    rows = [
        ("0000", "done"),
        ("FF00, FF01", "a match, which is held against what was asked"),
        (f"{WARNING:04X}", "what was retrieved counts"),
    ]
    rows += [(_range(first, last), f"{words}; {_FATES[kind]}") for first, last, kind, words in FAILURES]
    return StatementTable("Answers to C-FIND, C-GET and C-MOVE", ("Status", "Behavior"), rows)


def _range(first: int, last: int) -> str:
    return "any other" if first == 0 else f"{first:04X}" if first == last else f"{first:04X} to {last:04X}"


_FATES: Final = {
    LimitedAnswersError: "dates and times are asked for in halves",
    NeedsPerson: "a person decides",
    Unavailable: "asked again, later",
}
_QUERIES: Final = """\
Studies are listed by Study Date as range, on the same day by Study Time where an archive limits its answers; a query
with more matches than are taken is ended by C-CANCEL. Relational queries, combined date-time matching and fuzzy
semantic matching are not negotiated. Text that is not ASCII is asked for in ISO_IR 192. With C-GET the SCP role of the
storage classes is proposed, each transfer syntax in a presentation context of its own; pixels are read and not kept.
C-MOVE has the destination `{ae}`. Sub-operations are stored as every C-STORE is."""
