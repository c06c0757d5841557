"""What the gateway asks other AEs for, as SCU (N.5.2.10): a table of destinations, and two of how it takes answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.assembly.conformance import dicom_queries
from gateway.assembly.conformance.dicom_content import classes_asked_of
from gateway.assembly.http_receivers import kind_of
from gateway.config.tree import Config
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.records.image_forwarding import StoreVerdict, store_verdict
from gateway.records.step_request import OF_BOTH, VERDICTS, WARNINGS, RequestVerdict, verdict


def sections(config: Config) -> Iterator[StatementSection]:
    """Storage, MPPS, Instance Availability Notification and Query/Retrieve as SCU."""
    columns = ("Name", "Called AE title", "Calling AE title", "Requests", "TLS", "Timeout", "Tries")
    rows = [
        (
            one.name, one.ae_title, one.calling_ae or config.dicom.ae_title, classes_asked_of(one),
            "Y" if one.tls else "N", f"{one.timeout_seconds:g} s",
            f"after {one.retry.first_seconds:g} s, doubling to {one.retry.max_seconds:g} s",
        )
        for one in config.dicom.destinations
    ]  # fmt: skip
    destinations = StatementTable("Destinations", columns, rows or [("none", *["–"] * 6)])
    yield StatementSection("N.5.2.10", "Services as SCU", _REQUESTS, (destinations, _answers(), _answers_to_store()))
    yield from dicom_queries.sections(config)
    yield _stored_over_the_web(config)


def _stored_over_the_web(config: Config) -> StatementSection:
    rows = [
        (
            one.name, one.url or f"folder `{one.folder}`", kind_of(one), f"{one.timeout_seconds:g} s",
            f"after {one.retry.first_seconds:g} s, doubling to {one.retry.max_seconds:g} s",
        )
        for one in config.studies.forward_to
    ]  # fmt: skip
    columns = ("Name", "Address", "Login", "Timeout", "Tries")
    archives = StatementTable("Archives and folders", columns, rows or [("none", *["–"] * 4)])
    answers = StatementTable("Answers to the Store Transaction", ("Answer", "Behavior"), _STORE_ANSWERS)
    return StatementSection("N.5.3.1", "Store Transaction as user agent", _STOW, (archives, answers))


def _answers() -> StatementTable:
    rows = [
        (f"{status:04X}" if isinstance(status, int) else status, operation, _WORDS[found])
        for operation, status, found in _rows()
    ]
    return StatementTable("Answers to N-CREATE and N-SET", ("Status or Error ID", "Operation", "Behavior"), rows)


def _answers_to_store() -> StatementTable:
    rows = [(words, _STORED[store_verdict(status)]) for words, status in _STORE_STATUSES]
    return StatementTable("Answers to C-STORE", ("Status", "Behavior"), rows)


def _rows() -> Iterator[tuple[str, int | str, RequestVerdict]]:
    yield from (("both", one, verdict("N-CREATE", one, None)) for one in _ALIKE)
    yield from ((operation, status, found) for (operation, status), found in VERDICTS.items())
    yield "both", "A7xx", verdict("N-CREATE", 0xA7FF, None)
    yield "both", "Bxxx", verdict("N-CREATE", 0xB000, None)
    yield "both", "any other", verdict("N-CREATE", 0x0106, None)


_ALIKE: Final = (0x0000, *sorted(WARNINGS), *OF_BOTH)
_WORDS: Final = {
    RequestVerdict.DONE: "done",
    RequestVerdict.RETRY: "the same request again, later",
    RequestVerdict.DOUBT: "some tries more, then a person decides",
    RequestVerdict.ASK: "an N-GET shows whether the peer has it already; if not, a person decides",
    RequestVerdict.PARK: "a person decides",
}
_STORE_STATUSES: Final = (
    ("0000", 0x0000), ("Bxxx", 0xB000), ("0111", 0x0111), ("A7xx", 0xA700), ("0213", 0x0213), ("0110", 0x0110),
    ("any other", 0xC000),
)  # fmt: skip
_STORED: Final = {
    StoreVerdict.DONE: "the instance counts as stored; a warning is kept",
    StoreVerdict.RETRY: _WORDS[RequestVerdict.RETRY],
    StoreVerdict.DOUBT: _WORDS[RequestVerdict.DOUBT],
    StoreVerdict.PARK: _WORDS[RequestVerdict.PARK],
}
_STORE_ANSWERS: Final = (
    ("the instance in Referenced SOP Sequence, with 200 or 202", _STORED[StoreVerdict.DONE]),
    ("the instance in Failed SOP Sequence or Other Failures Sequence", "by Failure Reason, as the status of a C-STORE"),
    ("Failure Reason C122, or 415", "sent again without compression"),
    ("2xx or 409 that lists nothing", _WORDS[RequestVerdict.DOUBT]),
    ("no answer, 408, 425, 429, 5xx but 501 and 505", f"{_WORDS[RequestVerdict.RETRY]}; Retry-After is heeded"),
    ("any other", _WORDS[RequestVerdict.PARK]),
)
_STOW: Final = """\
Each instance is a request of its own to `/studies`, `multipart/related` with one part of `application/dicom` without
parameters, in the transfer syntax in which it arrived, with Content-Length. Accepted are answers in DICOM JSON and
native XML. Redirects are not followed."""
_REQUESTS: Final = """\
Instances are sent in the transfer syntax in which they arrived; each SOP Class is proposed in it, in Explicit and in
Implicit VR Little Endian, each in a presentation context of its own. An association carries many instances.
What arrived without compression is compressed without loss where a destination is configured so and accepts it.
Attributes are coerced where a destination is configured so; previous values are kept in Original Attributes Sequence.
Requests of one performed step are made in the order of the modality, each after the answer to the one before; those
of other steps do not wait. What a modality has sent is passed on with its SOP Instance UID and all attributes. An
Instance Availability Notification is made with a new SOP Instance UID each time."""
