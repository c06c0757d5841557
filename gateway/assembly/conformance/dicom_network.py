"""Configuration (N.6), application entities with their associations (N.7.2) and status codes (N.7.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel
from pydicom.uid import UID

from gateway.assembly.implementation import implementation_uid
from gateway.assembly.shares import of_address
from gateway.assembly.system import settings_of
from gateway.config.tree import Config
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.web.dicomweb.transactions import TRANSACTIONS
from gateway.wire.dimse.negotiation import APPLICATION_CONTEXT, PLAIN_SYNTAXES, TRANSFER_SYNTAXES
from gateway.wire.dimse.policy import SERVICES
from gateway.wire.dimse.requestor_connection import MAX_BYTES
from gateway.wire.dimse.requestor_operations import PLAIN
from gateway.wire.dimse.server import ARTIM_SECONDS, VERSION_NAME
from gateway.wire.dimse.statuses import ERROR_IDS, FIND_STATUSES, NORMALIZED_STATUSES, STORE_STATUSES, Pending, Statuses


def model(config: Config) -> str:
    """N.4: the application entities and the flow of data."""
    dicom, names = config.dicom, ", ".join(one.name for one in config.dicom.destinations)
    return _MODEL.format(ae=dicom.ae_title, destinations=f"here: {names}" if names else "none here")


def sections(config: Config) -> Iterator[StatementSection]:
    """N.6 and N.7."""
    yield StatementSection("N.6", "Configuration", _CONFIGURATION, (_parameters(config),))
    yield StatementSection("N.7.2", "Application entities", _ASSOCIATIONS, tuple(_of_entity(config)))
    yield StatementSection("N.7.3", "Status codes", _STATUSES, tuple(_statuses()))
    yield StatementSection("N.7.3.3", "Status codes of web services", "", tuple(_web_statuses()))


def _parameters(config: Config) -> StatementTable:
    shown = (config.dicom, "dicom."), (config.worklist, "worklist."), (config.performed_steps, "performed_steps.")
    sections: tuple[tuple[BaseModel, str], ...] = (*shown, (config.studies, "studies."))
    rows = [
        (f"`{setting.key}`", setting.value or "–")
        for section, prefix in sections
        for setting in settings_of(section, prefix)
    ]
    return StatementTable("Parameters", ("Key", "Value"), rows)


def _of_entity(config: Config) -> Iterator[StatementTable]:
    yield _associations(config)
    yield _peers(config)
    for title, syntaxes in (
        ("Transfer syntaxes of services without pixels, the preferred first", PLAIN_SYNTAXES),
        ("Transfer syntaxes of Storage, the preferred first", TRANSFER_SYNTAXES),
        ("Transfer syntaxes proposed as SCU, each in a presentation context of its own", PLAIN),
    ):
        yield StatementTable(title, ("Transfer Syntax", "UID"), [(UID(one).name, str(one)) for one in syntaxes])


def _associations(config: Config) -> StatementTable:
    dicom, tls = config.dicom, config.dicom.tls
    ports = [f"{dicom.port} without TLS"] if tls is None or not tls.only else []
    rows = [
        ("AE title", dicom.ae_title),
        (
            "Address and ports",
            f"{dicom.host}, port {' and '.join([*ports, *([f'{tls.port} with TLS'] if tls else [])])}",
        ),
        ("Application Context Name", APPLICATION_CONTEXT),
        ("Implementation Class UID", implementation_uid(config)),
        ("Implementation Version Name", VERSION_NAME),
        ("Maximum PDU size received as acceptor", f"{dicom.max_pdu_bytes} bytes"),
        ("Maximum PDU size received as requestor", f"{MAX_BYTES} bytes"),
        ("ARTIM timeout", f"{ARTIM_SECONDS:g} s"),
        ("Association without traffic", f"aborted after {dicom.idle_seconds:g} s"),
        ("Maximum number of associations accepted", str(dicom.max_associations)),
        ("of one address", str(of_address(dicom.max_associations, dicom.max_associations_per_address))),
        ("Maximum number of associations initiated", "one to each destination"),
        ("Asynchronous operations window", "one operation invoked, one performed; another offer is answered 1, 1"),
        ("SCP/SCU Role Selection", "the requestor is SCU; another proposal is not accepted"),
        ("SOP Class Extended Negotiation", "for Modality Worklist: fuzzy semantic matching of person names (byte 3)"),
        ("User Identity Negotiation", "types 1 (user name) and 2 (user name and passcode), where a peer has them"),
        ("Longest data set", f"{dicom.max_object_bytes} bytes"),
    ]
    return StatementTable("Association policy", ("Item", "Value"), rows)


def _peers(config: Config) -> StatementTable:
    dicom = config.dicom
    rows: list[tuple[str, ...]] = [
        (
            one.ae_title, ", ".join(one.services), ", ".join(one.allowed_addresses) or "any",
            ", ".join(one.allowed_certificates) or "none asked for", "Y" if one.user or one.passcode else "N",
            "no limit of its own" if one.max_associations is None else str(one.max_associations),
        )
        for one in dicom.peers
    ]  # fmt: skip
    listed = {one.ae_title for one in dicom.peers}
    every = ", ".join(sorted(SERVICES))
    rows += [(one, every, "any", "none asked for", "N", "no limit of its own") for one in dicom.allowed_calling_aes
             if one not in listed]  # fmt: skip
    rows.append(
        ("any other", "refused (calling AE title not recognized)", *["–"] * 4)
        if dicom.allowed_calling_aes
        else ("any other", every, "any", "none asked for", "N", "no limit of its own")
    )
    columns = ("Calling AE title", "Services", "Addresses", "Certificates", "User identity", "Associations")
    return StatementTable("Who may associate", columns, rows)


def _statuses() -> Iterator[StatementTable]:
    pending = [(f"{one:04X}", f"pending: {one.name.lower().replace('_', ' ')}") for one in Pending]
    columns = ("Status", "When")
    yield StatementTable("C-ECHO", columns, [("0000", "success")])
    yield StatementTable("C-FIND", columns, [("0000", "success"), *pending, ("FE00", "cancelled"), *_of(FIND_STATUSES)])
    yield StatementTable("C-STORE", columns, [("0000", "success"), *_of(STORE_STATUSES)])
    yield StatementTable("N-CREATE, N-SET, N-GET", columns, [("0000", "success"), *_of(NORMALIZED_STATUSES)])
    errors = [(f"{number:04X}", _ERRORS[kind.__name__]) for kind, number in ERROR_IDS]
    yield StatementTable("Error ID (0000,0903) of N-SET", ("Error ID", "When"), errors)


def _of(statuses: Statuses) -> Iterator[tuple[str, str]]:
    for kind, status in statuses:
        yield f"{status:04X}", "any other failure" if kind is Exception else _WORDS[kind.__name__]


_WORDS: Final = {
    "Unavailable": "the gateway cannot keep or read it now; send again",
    "TooLarge": "more than the gateway takes or answers",
    "Rejected": "the data set does not match the SOP class",
    "UnsupportedType": "the SOP class is not taken",
    "Conflict": "another instance has this SOP Instance UID",
    "Malformed": "the data set cannot be read",
    "DuplicateKey": "another performed step or notification has this SOP Instance UID",
    "UnknownKey": "there is no such performed step, or transaction of this requester",
    "RequiredEmpty": "an attribute of type 1 has no value",
    "RequiredMissing": "an attribute is missing",
    "InvalidValue": "an attribute has a value that it cannot have",
}
_ERRORS: Final = {"Conflict": "the performed step is COMPLETED or DISCONTINUED and may no longer be updated"}


def _web_statuses() -> Iterator[StatementTable]:
    codes = sorted({status for one in TRANSACTIONS for status in one.method.statuses} | set(_ALL_METHODS))
    rows = [
        ("Success" if code < 300 else "Failure", str(code), _CONDITIONS[code],
         ", ".join(dict.fromkeys(one.method.id for one in TRANSACTIONS if code in one.method.statuses))
         or "any other method")
        for code in codes
    ]  # fmt: skip
    yield StatementTable("HTTP statuses of the origin server", ("Status", "Code", "Condition", "Transactions"), rows)


_ALL_METHODS: Final = (405, 500)
_CONDITIONS: Final = {
    200: "done, with a payload",
    201: "created",
    202: "accepted; the result is not there yet, and is asked for; of a Store: some of its instances failed",
    204: "nothing matches",
    400: "a parameter or the payload cannot be read, or breaks a rule of the service",
    401: "a login is needed",
    403: "this peer may not use the service, or the request comes from a page of another site",
    404: "there is no such performed step, study, series or instance, or its pixels are not here",
    405: "the resource does not have this method",
    406: "no media type is both served and accepted",
    409: "it is there already, or may no longer be updated; of a Store: none of its instances was taken",
    410: "the study was deleted or marked as an error, or the pixels were deleted",
    413: "the payload is too long, or a search would look at too many",
    415: "the payload has a media type that is not taken",
    500: "a fault of the gateway",
    503: "the gateway cannot keep or read it now; send again",
}
_MODEL: Final = """\
One application entity, {ae}. It accepts associations for Verification, Modality Worklist, Modality Performed
Procedure Step, Instance Availability Notification and Storage, and answers Success to N-CREATE, N-SET and C-STORE
when what it received is in its database. It initiates associations to send on what arrived, to make performed steps
known to other MPPS SCPs and to notify others of studies, where `dicom.destinations` names them ({destinations}), and to
query and retrieve studies, where `studies.sources` names archives.

Flow of data: an HL7 order becomes scheduled procedure steps; a modality reads them from the worklist, states what it
performs by MPPS, and its instances arrive by C-STORE or STOW-RS, or are asked for at archives; the gateway keeps their
headers. The performed step becomes a status to the RIS and goes on to other SCPs; the study, once it has settled,
becomes FHIR resources.

Not part of DICOM: HL7 v2 (`gateway conformance hl7`) and FHIR (`gateway conformance fhir`)."""
_CONFIGURATION: Final = """\
All keys of `gateway.yaml` that bear on DICOM, with their values here; of a secret only whether it is set. What each
means: `docs/operations.md`. A change needs a restart, but of mappings, rules of scanners, certificates and tokens,
which a reload puts in force."""
_ASSOCIATIONS: Final = """\
The acceptor takes any called AE title unless `dicom.check_called_ae` is set. A presentation context of another SOP
class is rejected with result 3, of a service that the peer may not use with result 1. An association beyond the
limits is rejected as transient, local limit exceeded."""
_STATUSES: Final = "Error Comment (0000,0902) names the fault and its place, never a value of a patient."
