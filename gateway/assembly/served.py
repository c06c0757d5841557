"""What the gateway serves and requests over DICOM, gathered from the tables by which it does: services, keys, statuses.

`statement` makes the conformance statement of it (PS3.2 Annex N); nothing in there is written a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydicom.datadict import dictionary_description, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.uid import UID

from gateway import mapping
from gateway.config.dicom import Dicom
from gateway.config.tree import Config
from gateway.dicom_dictionary import ADDED
from gateway.journey.worklist.station import WITHOUT_MAPPING
from gateway.operations.conformance import StatementSection, StatementTable
from gateway.records.performed_step_attributes import ATTRIBUTES, ITEMS, Types
from gateway.web.dicomweb.transactions import TRANSACTIONS
from gateway.wire.dimse import requestor_operations
from gateway.wire.dimse.identifier import OF_QUERIES, OF_STATEMENTS
from gateway.wire.dimse.negotiation import APPLICATION_CONTEXT, PLAIN_SYNTAXES, TRANSFER_SYNTAXES, served_syntaxes
from gateway.wire.dimse.negotiation import service_of as service_of_class
from gateway.wire.dimse.normalized import MAX_DATA_SET_BYTES
from gateway.wire.dimse.policy import IAN, MPPS, STORAGE, VERIFICATION, WORKLIST
from gateway.wire.dimse.server import VERSION_NAME
from gateway.wire.dimse.services import MAX_IDENTIFIER_BYTES
from gateway.wire.dimse.statuses import FIND_STATUSES, NORMALIZED_STATUSES, STORE_STATUSES, Pending, Statuses
from gateway.wire.dimse.storage_classes import name_of
from gateway.worklist import keys
from gateway.worklist.encoding import REGIONAL, UTF_8

OPERATIONS: Final = {
    VERIFICATION: "C-ECHO",
    WORKLIST: "C-FIND",
    MPPS: "N-CREATE, N-SET, N-GET",
    IAN: "N-CREATE",
    STORAGE: "C-STORE",
}
"""Service -> the DIMSE operations of its SOP classes."""
INITIATED: Final[Mapping[str, str]] = {
    requestor_operations.MPPS: "at `dicom.destinations` with `mpps`, for each N-CREATE and N-SET of a modality",
    requestor_operations.MPPS_RETRIEVE: "there, when an N-CREATE or N-SET is answered 0111 or A710",
    requestor_operations.AVAILABILITY: "at `dicom.destinations` with `ian`, when a study has settled, or has grown",
}
"""UID of each SOP class that the gateway asks other peers for -> when it does, as the statement words it."""
STEP_SEQUENCE: Final = "ScheduledProcedureStepSequence"


def statement(config: Config, mappings: mapping.Mappings) -> list[StatementSection]:
    """The conformance statement of a gateway with this configuration."""
    classes = served_syntaxes(frozenset(config.dicom.storage_classes))
    return [
        StatementSection("N", "DICOM conformance statement", _INTRODUCTION.format(version=VERSION_NAME)),
        StatementSection("N.1", "Overview", _OVERVIEW),
        StatementSection("N.1.1", "Content and transfer", "", (_sop_classes(classes, storage=True),)),
        StatementSection("N.1.2", "DIMSE services", "", (_sop_classes(classes, storage=False),)),
        StatementSection("N.1.3", "DICOM Web services", _WEB, (_transactions(),)),
        StatementSection("N.4", "Implementation model", _MODEL),
        StatementSection("N.5", "Service and interoperability description"),
        StatementSection("N.5.2", "DIMSE services", _AVAILABILITY),
        StatementSection("N.5.2.2", "Modality Performed Procedure Step SCP", _MPPS, tuple(_performed_step())),
        StatementSection("N.5.2.7", "Modality Worklist SCP", _WORKLIST, tuple(_worklist(mappings))),
        StatementSection("N.6", "Configuration", "", (_configuration(config.dicom),)),
        StatementSection("N.7.2", "Associations", "", (_associations(config.dicom), *_syntaxes())),
        StatementSection("N.7.3", "Status codes", _STATUSES, tuple(_statuses())),
        StatementSection("N.7.3.3", "Status codes of web services", _WEB_STATUSES, (_web_statuses(),)),
        StatementSection("N.8", "Security", _SECURITY),
        StatementSection("N.9", "Character sets", _CHARACTER_SETS, (_character_sets(),)),
        StatementSection("N.10", "Attributes of later editions", _LATER, (_later(),)),
    ]


def _sop_classes(classes: dict[str, list[str]], *, storage: bool) -> StatementTable:
    roles = {uid: ["SCP"] for uid in classes}
    for uid in INITIATED:
        roles.setdefault(uid, []).append("SCU")
    rows = [
        (name_of(uid) or "(private or of a later edition)", uid, OPERATIONS[service_of_class(uid)], ", ".join(role))
        for uid, role in roles.items()
        if (service_of_class(uid) == STORAGE) == storage
    ]
    return StatementTable("SOP classes", ("SOP Class", "UID", "Operations", "Role"), rows)


def _transactions() -> StatementTable:
    columns = ("Transaction", "PS3.18", "Resource", "Method", "Media types", "User Agent", "Origin Server")
    rows = [
        (
            one.method.id, one.method.clause, one.path, one.method.http_method,
            ", ".join(dict.fromkeys((*one.method.request_types, *one.method.response_types))) or "–", "no", "yes",
        )
        for one in TRANSACTIONS
    ]  # fmt: skip
    return StatementTable("Services of worklist and performed steps", columns, rows)


def _web_statuses() -> StatementTable:
    rows = [(one.method.id, ", ".join(map(str, sorted(one.method.statuses)))) for one in TRANSACTIONS]
    return StatementTable("HTTP statuses by transaction", ("Transaction", "Statuses"), rows)


# Modality Performed Procedure Step


def _performed_step() -> Iterator[StatementTable]:
    columns = ("Attribute Name", "Tag", "N-CREATE", "N-SET", "Final state")
    yield StatementTable(
        "Attributes of a performed step", columns, [_typed(keyword, one) for keyword, one in ATTRIBUTES.items()]
    )
    for sequence, items in ITEMS.items():
        rows = [_typed(keyword, types) for keyword, types in items.items()]
        yield StatementTable(f"Items of {_name(sequence)}", columns, rows)


def _typed(keyword: str, types: Types) -> tuple[str, ...]:
    return _name(keyword), _tag(keyword), types.create, types.set or "not allowed", types.final


# Modality Worklist


def _worklist(mappings: mapping.Mappings) -> Iterator[StatementTable]:
    columns = ("Attribute Name", "Tag", "VR", "Matching key", "Matching Type", "Return key")
    levels = {one.row.target: level for level, rows in mappings.orders.rows.items() for one in rows}
    step = sorted({*keys.OF_STEP, *(key for key, level in levels.items() if level == "step")}, key=_tag)
    given = {_keyword(tag) for tag in WITHOUT_MAPPING} - {""}
    root = {*keys.OF_ROOT, *given, *(key for key, level in levels.items() if level != "step")} - {*keys.OF_STEP}
    yield StatementTable(
        "Attributes beside the step", columns, [_key(one, keys.OF_ROOT) for one in sorted(root, key=_tag)]
    )
    title = f"Attributes within the {_name(STEP_SEQUENCE)}"
    yield StatementTable(title, columns, [_key(one, keys.OF_STEP) for one in step])


def _key(keyword: str, table: dict[str, keys.KeyTypes]) -> tuple[str, ...]:
    types, vr = table.get(keyword, keys.OTHERS), dictionary_VR(_number(keyword))
    matching = keys.matching_of(vr, types)
    return _name(keyword), _tag(keyword), vr, types.matching or "–", matching or "–", types.returned


# Network


def _configuration(dicom: Dicom) -> StatementTable:
    names = (
        "ae_title", "host", "port", "max_associations", "idle_seconds", "max_pdu_bytes", "max_object_bytes",
        "max_worklist_matches", "check_called_ae", "pn_implicit_wildcard", "warn_of_unknown_keys",
    )  # fmt: skip
    return StatementTable(
        "Parameters", ("Key", "Value"), [(f"`dicom.{name}`", str(getattr(dicom, name))) for name in names]
    )


def _associations(dicom: Dicom) -> StatementTable:
    rows = [
        ("Application Context", APPLICATION_CONTEXT),
        ("Implementation Version Name", VERSION_NAME),
        ("Maximum PDU size received", f"{dicom.max_pdu_bytes} bytes"),
        ("Maximum number of associations", str(dicom.max_associations)),
        ("Asynchronous operations", "one operation at a time"),
        ("Associations initiated", "; ".join(f"{name_of(uid)}: {when}" for uid, when in INITIATED.items()) or "none"),
    ]
    return StatementTable("Association policy", ("Item", "Value"), rows)


def _syntaxes() -> Iterator[StatementTable]:
    for title, syntaxes in (
        ("Transfer syntaxes of services without pixels", PLAIN_SYNTAXES),
        ("Transfer syntaxes of Storage", TRANSFER_SYNTAXES),
    ):
        yield StatementTable(title, ("Transfer Syntax", "UID"), [(UID(one).name, str(one)) for one in syntaxes])


def _statuses() -> Iterator[StatementTable]:
    pending = [(f"{one:04X}", f"pending: {one.name.lower().replace('_', ' ')}") for one in Pending]
    yield StatementTable(
        "C-FIND", ("Status", "When"), [("0000", "success"), *pending, ("FE00", "cancelled"), *_of(FIND_STATUSES)]
    )
    yield StatementTable("C-STORE", ("Status", "When"), [("0000", "success"), *_of(STORE_STATUSES)])
    yield StatementTable("N-CREATE, N-SET, N-GET", ("Status", "When"), [("0000", "success"), *_of(NORMALIZED_STATUSES)])


def _of(statuses: Statuses) -> Iterator[tuple[str, str]]:
    for kind, status in statuses:
        yield f"{status:04X}", "any other failure" if kind is Exception else _WORDS.get(kind.__name__, kind.__name__)


_WORDS: Final = {
    "Unavailable": "the gateway cannot keep or read it now; send again",
    "TooLarge": "more than the gateway takes or answers",
    "Rejected": "the data set does not match the SOP class",
    "UnsupportedType": "the SOP class is not taken",
    "Conflict": "another instance has this SOP Instance UID",
    "Malformed": "the data set cannot be read",
    "DuplicateKey": "another performed step or notification has this SOP Instance UID",
    "UnknownKey": "there is no such performed step",
    "RequiredEmpty": "an attribute of type 1 has no value",
    "RequiredMissing": "an attribute is missing",
    "InvalidValue": "an attribute has a value that it cannot have",
}


# Annexes


def _character_sets() -> StatementTable:
    sets = ["ISO_IR 6 (default)", *("\\".join(one) for one in REGIONAL), "\\".join(UTF_8)]
    return StatementTable(
        "Sets that the gateway chooses by itself, in this order", ("Specific Character Set",), [(one,) for one in sets]
    )


def _later() -> StatementTable:
    rows = [(one.name, _shown(one.tag), one.vr, one.vm, one.edition) for one in sorted(ADDED)]
    return StatementTable("Attributes", ("Attribute Name", "Tag", "VR", "VM", "Edition"), rows)


def _number(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return int(tag)


def _keyword(tag: int) -> str:
    return str(keyword_for_tag(tag))


def _name(keyword: str) -> str:
    return dictionary_description(_number(keyword))


def _tag(keyword: str) -> str:
    return _shown(_number(keyword))


def _shown(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


_INTRODUCTION: Final = """\
In short, with the sections of the template of PS3.2 Annex N that apply to {version}. `gateway conformance` prints
it, from the tables by which the gateway serves, for the configuration at hand; this page is that of the defaults."""
_OVERVIEW: Final = """\
The gateway offers a Modality Worklist made of HL7 orders, takes Modality Performed Procedure Steps and makes them
at other MPPS SCPs, and receives instances whose headers it keeps and whose pixels it drops; it writes each study to
an EHR in FHIR."""
_WEB: Final = """\
Under `/dicomweb` of the console's address, with the steps, rules and matching of the DIMSE services; the login is that
of the console, or the AE title of a peer with its passcode."""
_WEB_STATUSES: Final = "405 for a method that a resource does not have, 500 for a fault of the gateway."
_MODEL: Final = """\
One application entity. It accepts associations for Verification, Modality Worklist, Modality Performed Procedure
Step, Instance Availability Notification and Storage, and answers Success to N-CREATE, N-SET and C-STORE when what it
received is in its database. It initiates associations to make performed steps known to other MPPS SCPs and
to notify others of studies, where `dicom.destinations` names them."""
_AVAILABILITY: Final = """\
An Instance Availability Notification is kept as evidence and shown with the orders of its study. It needs a Study
Instance UID of at most 64 characters (else 0120, 0121, 0106); other deviations from PS3.4 Table R.3.2-1 are findings.
A SOP Instance UID that is here is answered 0111. An N-CREATE without Affected SOP Instance UID is given one."""
_MPPS: Final = """\
An N-CREATE that leaves out what the table asks for is taken with a finding (0000), unless the peer is `mpps:
strict`: then it is refused with 0120 or 0121. Without what tells which step is performed it is always refused. An
N-CREATE without Affected SOP Instance UID is given one. The same N-CREATE again changes nothing. After COMPLETED or
DISCONTINUED an N-SET is answered 0110 with Error ID A710. A sequence in an N-SET replaces the whole sequence.
Attributes that are not listed are kept."""
_WORKLIST: Final = f"""\
One scheduled procedure step for each match. Zero length, or a lone `*`, matches all. Names are compared without
regard to case and accents, and where fuzzy matching has been agreed also by their words in any order, by beginnings
of words, and with a slip of the pen; Modality and Scheduled Procedure Step Status without regard to case. A stored
value that is empty matches a universal key only. Start date and start time are one range together. Private
attributes are not matched, and answered with zero length. C-CANCEL ends a query with FE00. An attribute that is not
listed is answered with zero length. An identifier of more than {MAX_IDENTIFIER_BYTES:,} bytes,
{OF_QUERIES.elements:,} elements and items or {OF_QUERIES.values:,} values, as inflated, is refused with A700;
a performed step of more than {MAX_DATA_SET_BYTES:,} bytes or {OF_STATEMENTS.elements:,} elements and items
with 0213. What a site's mapping rows add or take away is in the tables of its own
statement."""
_STATUSES: Final = "Error Comment (0000,0902) names the fault and its place, never a value of a patient."
_SECURITY: Final = """\
TLS by the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12): TLS 1.2 or 1.3, on a port
of its own (`dicom.tls`); certificates of clients are asked for where `dicom.tls.client_ca` names their authority.
User Identity by user name and passcode, by peer. Peers may be held to network addresses, certificate names and
services."""
_CHARACTER_SETS: Final = """\
Requests are read in every set of PS3.3 C.12.1.1.2 that pydicom reads, with code extensions. An answer is in the set
that the request names if that can hold it, else in the first of these that can; a row of `mappings/scanners.yaml`
may name others."""
_LATER: Final = """\
Attributes of the standard's editions since 2024d that this version knows beside those of pydicom's dictionary; they
are read, kept, answered and written in every transfer syntax."""
