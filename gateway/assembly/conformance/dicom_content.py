"""Overview (N.1) and web services (N.5.3): which SOP classes and transactions, in which role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from gateway.assembly.conformance.dicom_queries import OPERATIONS, classes_of_sources
from gateway.assembly.dicom_destinations import classes_of
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.tree import Config
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.web import dicomweb
from gateway.web.dicomweb.transaction import Transaction
from gateway.web.dicomweb.transactions import ROLE, TRANSACTIONS
from gateway.wire.dicomweb import search
from gateway.wire.dimse import normalized, requestor_operations
from gateway.wire.dimse.commitment import PUSH_MODEL
from gateway.wire.dimse.negotiation import served_syntaxes, service_of
from gateway.wire.dimse.policy import STORAGE, VERIFICATION, WORKLIST
from gateway.wire.dimse.storage_classes import name_of

OF_SERVICES: Final = {VERIFICATION: "C-ECHO", WORKLIST: "C-FIND", STORAGE: "C-STORE"}
"""Service -> the composite operation of its SOP classes."""
REQUESTED: Final[Mapping[str, str]] = {
    requestor_operations.MPPS: "N-CREATE and N-SET, for each of a modality",
    requestor_operations.MPPS_RETRIEVE: "N-GET, when an N-CREATE or N-SET is answered 0111 or A710",
    requestor_operations.AVAILABILITY: "N-CREATE, when a study has settled, or has grown",
    PUSH_MODEL: "N-ACTION, when a study has been sent",
    **OPERATIONS,
}
"""UID of each SOP class that the gateway may ask other peers for -> the operations, and when."""


def sections(config: Config) -> Iterator[StatementSection]:
    """N.1 with its parts."""
    yield StatementSection("N.1", "Overview", _OVERVIEW)
    yield StatementSection("N.1.1", "Content and transfer", "", (_sop_classes(config, storage=True),))
    yield StatementSection("N.1.2", "DIMSE services", "", (_sop_classes(config, storage=False),))
    yield StatementSection("N.1.3", "DICOM Web services", _WEB, (_services(config),))


def _sop_classes(config: Config, *, storage: bool) -> StatementTable:
    served = served_syntaxes(frozenset(config.dicom.storage_classes))
    option = {PUSH_MODEL} if config.studies.storage == "headers" else set()
    in_force = {uid for one in config.dicom.destinations for uid in classes_of(one)}
    in_force |= {PUSH_MODEL for one in config.dicom.destinations if one.storage_commitment}
    in_force |= classes_of_sources(config)
    is_sent = any(one.store for one in config.dicom.destinations)
    rows = [
        (
            name_of(uid) or "(private or of a later edition)", uid, operations_of(uid),
            "Y" if uid in in_force or (storage and is_sent) else "Option" if uid in REQUESTED or storage else "N",
            "Option" if uid in option else "Y" if uid in served else "N",
        )
        for uid in dict.fromkeys((*served, *REQUESTED))
        if (uid not in OPERATIONS and service_of(uid) == STORAGE) == storage
    ]  # fmt: skip
    return StatementTable("SOP classes", ("SOP Class", "UID", "Operations", "SCU", "SCP"), rows)


def classes_asked_of(destination: DicomDestination) -> str:
    """The operations and SOP classes that a destination is asked for."""
    images = ["Storage: C-STORE, of what arrives here"] if destination.store else []
    commitment = [f"{name_of(PUSH_MODEL)}: {REQUESTED[PUSH_MODEL]}"] if destination.storage_commitment else []
    reports = [f"{name_of(PUSH_MODEL)}: N-EVENT-REPORT, as SCP"] if destination.commitment_reports else []
    return "; ".join(
        [*images, *commitment, *reports, *(f"{name_of(uid)}: {REQUESTED[uid]}" for uid in classes_of(destination))]
    )


def operations_of(uid: str) -> str:
    """The DIMSE operations in which a SOP class is served, or requested."""
    if uid in OPERATIONS:
        return OPERATIONS[uid].partition(",")[0]
    if operation := OF_SERVICES.get(service_of(uid)):
        return operation
    return ", ".join(normalized.NAMES[field] for field, classes in normalized.CONTEXTS.items() if uid in classes)


def _services(config: Config) -> StatementTable:
    rows = [
        (
            _service_of(one),
            one.method.id,
            one.path,
            one.method.http_method,
            _user_agent(config, one.method.id, one.path),
            _origin_server(config, one),
        )
        for one in TRANSACTIONS
    ]
    columns = ("Service", "Transaction", "Resource", "Method", "User Agent", "Origin Server")
    return StatementTable("DICOM Web services", columns, rows)


def _user_agent(config: Config, transaction: str, path: str) -> str:
    is_made = _USERS.get((transaction, path))
    if is_made is None:
        return "N"
    return "Y" if is_made(config) else "Option"


def _is_stored(config: Config) -> bool:
    return any(one.url for one in config.studies.forward_to)


def _is_asked(config: Config) -> bool:
    return any(one.kind == "dicomweb" and one.enabled for one in config.studies.sources)


_USERS: Final[Mapping[tuple[str, str], Callable[[Config], bool]]] = {
    ("Store", "/studies"): _is_stored,
    ("Search", "/studies"): _is_asked,
    ("RetrieveMetadata", "/studies/{study}/metadata"): _is_asked,
}
"""Transactions that the gateway makes as user agent, and whether a configuration has whom to make them with."""


def _origin_server(config: Config, transaction: Transaction) -> str:
    if ROLE != "origin server":
        return "N"
    is_off = transaction.of_pixels and config.studies.storage == "headers"
    is_off = is_off or (transaction.of_storing and not config.studies.stow.enabled)
    is_off = is_off or (transaction.of_studies and not config.serves_studies)
    return "Option" if is_off else "Y"


def _service_of(transaction: Transaction) -> str:
    return _SERVICES[transaction.path.strip("/").partition("/")[0]]


_SERVICES: Final = {
    "": "Capabilities",
    "modality-scheduled-procedure-steps": "Modality Scheduled Procedure Step",
    "modality-performed-procedure-steps": "Modality Performed Procedure Step",
    "commitment-requests": "Storage Commitment",
    **dict.fromkeys(("studies", "series", "instances"), "Studies"),
}
"""First segment of the path -> service (PS3.18 8.9, chapters 10 and 13 to 15)."""


def web_sections(config: Config) -> Iterator[StatementSection]:
    """N.5.3: the transactions with their headers, query parameters and media types."""
    columns = ("Transaction", "PS3.18", "Query parameters", "Header fields", "Content-Type", "Accept")
    rows = [
        (
            f"{one.method.id} `{one.path}`", one.method.clause, _listed(_shown(name) for name in one.method.query),
            _listed(one.method.headers), _listed(one.method.request_types), _listed(one.method.response_types),
        )
        for one in TRANSACTIONS
    ]  # fmt: skip
    text = _WEB_DETAILS.format(path=dicomweb.PATH, host=config.http.host, port=config.http.port)
    yield StatementSection("N.5.3", "DICOM Web services", text, (StatementTable("Transactions", columns, rows),))


def _shown(parameter: str) -> str:
    return "an attribute (keyword or tag, within sequences by `.`)" if parameter == search.MATCH else parameter


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values)) or "–"


_OVERVIEW: Final = """\
The gateway offers a Modality Worklist made of HL7 orders, takes Modality Performed Procedure Steps and makes them at
other MPPS SCPs, takes and makes Instance Availability Notifications, and receives instances whose headers it keeps
and whose pixels it drops, or sends on to archives and then offers Storage Commitment; it writes each study to an EHR in
FHIR. It asks archives for their studies by Query/Retrieve, which it does not offer; studies are searched and retrieved
over DICOMweb. It has no printing and no media."""
_WEB: Final = """\
With the steps, rules and matching of the DIMSE services. As both roles of MPPS are of one gateway: what a web client
creates or updates is the same object as over DIMSE, and goes on to the destinations of MPPS. Storage Commitment is
decided as over DIMSE, and is offered where instances are kept with their pixels (`studies.storage: forward`). Studies
are searched and their metadata read of the kept headers; instances are retrieved while their pixels are kept, in the
transfer syntax in which they came. What is excluded, rejected or marked as an error is not served.
Instances that are stored over the web (`studies.stow`) are kept as those of C-STORE are."""
_WEB_DETAILS: Final = """\
Base URI: `{path}` of the console's address (here `{host}`, port {port}). The login is that of the console; for all but
studies also the AE title of a peer with its passcode. Parameters that are not served are left out of account (PS3.18
8.3); a parameter that is served and has an invalid value is answered 400."""
