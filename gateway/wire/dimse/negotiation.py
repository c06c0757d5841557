"""What an association is agreed to be for (PS3.8 9.3.2, 9.3.3; PS3.7 Annex D.3).

SOP classes: Verification, Modality Worklist Information Model FIND, Modality Performed Procedure Step and its Retrieve,
Instance Availability Notification, Storage Commitment Push Model, in the transfer syntaxes that a data set without
pixels can have; every storage class known to pynetdicom or named by the site, in every one of PS3.5. A presentation
context for anything else is rejected with result 3, abstract syntax not supported: whether an unknown SOP class is
storage at all is unknown, and the peer learns at once which of its objects will not arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from pydicom.uid import UID
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_context
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    Verification,
)

from gateway.dicom_encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from gateway.wire.dimse.policy import (
    COMMITMENT,
    IAN,
    MPPS,
    STORAGE,
    VERIFICATION,
    WORKLIST,
    Caller,
    Peer,
    Rejection,
)
from gateway.wire.dimse.storage_classes import RETIRED

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
ENCAPSULATED_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
"""Encapsulated Uncompressed Explicit VR Little Endian (PS3.5 A.4.11)."""
TRANSFER_SYNTAXES: Final = list(dict.fromkeys([EXPLICIT_LITTLE, *ALL_TRANSFER_SYNTAXES, ENCAPSULATED_UNCOMPRESSED]))
"""In the order of our preference: only explicit VR keeps the VRs of private elements."""
PLAIN_SYNTAXES: Final = [EXPLICIT_LITTLE, IMPLICIT_LITTLE, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
_USER_REJECTION: Final = 0x01
_FUZZY: Final = 2
"""The byte of Query/Retrieve's and the worklist's service-class-application-information that asks for fuzzy
semantic matching of person names (PS3.4 C.5.1.1, K.5.1)."""
_VERSION: Final = 1
MIN_PEER_BYTES: Final = 8
"""The least Maximum Length Received in which a fragment of two bytes finds room."""


class AcceptedContext(NamedTuple):
    """An accepted presentation context."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True)
class Agreement:
    """An association as agreed: whom with, for what, and the primitive that says so."""

    caller: Caller
    peer: Peer
    contexts: Mapping[int, AcceptedContext]
    max_bytes: int
    """Maximum Length Received of the peer; 0: no limit."""
    fuzzy: bool
    """Fuzzy semantic matching of person names has been agreed."""
    primitive: A_ASSOCIATE


@dataclass(frozen=True)
class Terms:
    """What we say of ourselves (PS3.7 D.3.3.1, D.3.3.2), and what we take."""

    implementation_uid: str
    implementation_version: str
    max_bytes: int
    more_storage: frozenset[str] = frozenset()
    """Storage classes beside those of the standard."""
    unserved: frozenset[str] = frozenset()
    """Services whose SOP classes are not accepted."""
    scp_roles: frozenset[str] = frozenset()
    """SOP classes of which the requestor may be the SCP."""


Admit = Callable[[Caller, tuple[str, str] | None], Peer | Rejection]


def _protocol_fault(request: A_ASSOCIATE, version: int) -> Rejection | None:
    if not version & _VERSION:
        return Rejection(1, 2, 2, f"protocol version {version:#06x}")
    if str(request.application_context_name) != APPLICATION_CONTEXT:
        return Rejection(1, 1, 2, f"application context {request.application_context_name}")
    return None


def negotiate(
    request: A_ASSOCIATE, version: int, address: str, names: tuple[str, ...], admit: Admit, terms: Terms
) -> Agreement | Rejection:
    """The answer to an A-ASSOCIATE indication. `version`: the protocol versions of its PDU."""
    caller = Caller(str(request.calling_ae_title).strip(), str(request.called_ae_title).strip(), address, names)
    if (rejection := _protocol_fault(request, version)) is not None:
        return rejection
    items = _Items(request.user_information)
    peer = admit(caller, items.identity)
    if isinstance(peer, Rejection):
        return peer
    max_bytes = items.max_bytes
    if 0 < max_bytes < MIN_PEER_BYTES:
        return Rejection(1, 1, 1, f"a maximum length of {max_bytes} bytes leaves no room for data")
    served = _served(terms.more_storage, terms.unserved, terms.scp_roles)
    results, roles = negotiate_as_acceptor(
        request.presentation_context_definition_list,
        [served[one] for one in _asked(request) & served.keys()],
        items.roles,
    )
    _refuse_services(results, peer.services)
    fuzzy, extended = items.extended()
    accepted = {
        int(one.context_id): AcceptedContext(int(one.context_id), str(one.abstract_syntax), str(one.transfer_syntax[0]))
        for one in results
        if one.result == 0
    }
    checked = bool(peer.user or peer.passcode)
    answered = [*extended, *roles, *items.window(), *(items.identity_answer() if checked else ())]
    answer = _accepting(request, results, answered, terms)
    return Agreement(caller, peer, accepted, max_bytes, fuzzy, answer)


SERVICE_OF: Final = {
    Verification: VERIFICATION,
    ModalityWorklistInformationFind: WORKLIST,
    ModalityPerformedProcedureStep: MPPS,
    ModalityPerformedProcedureStepRetrieve: MPPS,
    InstanceAvailabilityNotification: IAN,
    StorageCommitmentPushModel: COMMITMENT,
}
"""SOP class -> service; what is accepted beside these is a storage class."""


def served_syntaxes(more_storage: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """SOP class -> the transfer syntaxes in which it is accepted, the preferred first."""
    return {uid: [str(one) for one in context.transfer_syntax] for uid, context in _served(more_storage).items()}


@cache
def storage_syntaxes(more_storage: frozenset[str] = frozenset()) -> Mapping[str, Sequence[str]]:
    """The same of the storage classes alone."""
    return {uid: syntaxes for uid, syntaxes in served_syntaxes(more_storage).items() if service_of(uid) == STORAGE}


def service_of(abstract_syntax: str) -> str:
    return SERVICE_OF.get(UID(abstract_syntax), STORAGE)


def _refuse_services(results: Collection[PresentationContext], services: Collection[str]) -> None:
    for one in results:
        if one.result == 0 and service_of(str(one.abstract_syntax)) not in services:
            one.result = _USER_REJECTION


def _asked(request: A_ASSOCIATE) -> set[str]:
    return {str(one.abstract_syntax) for one in request.presentation_context_definition_list}


@cache
def _served(
    more_storage: frozenset[str], unserved: frozenset[str] = frozenset(), scp_roles: frozenset[str] = frozenset()
) -> dict[str, PresentationContext]:
    made = {
        str(uid): build_context(uid, PLAIN_SYNTAXES) for uid, service in SERVICE_OF.items() if service not in unserved
    }
    standard = (one.abstract_syntax for one in AllStoragePresentationContexts)
    for uid in (*standard, *RETIRED, *sorted(more_storage)):
        made[str(uid)] = build_context(uid, TRANSFER_SYNTAXES)
    for context in made.values():
        # Of the requestor: it may ask; whether it may be asked, or report as an SCP does, is the class's.
        context.scu_role, context.scp_role = True, context.abstract_syntax in scp_roles
    return made


class _Items:
    """The user information of a request (PS3.7 D.3.3)."""

    def __init__(self, items: Collection[Any]) -> None:
        self._items = items

    def _of(self, kind: type) -> list[Any]:
        return [one for one in self._items if isinstance(one, kind)]

    @property
    def max_bytes(self) -> int:
        return next((int(one.maximum_length_received or 0) for one in self._of(MaximumLengthNotification)), 0)

    @property
    def roles(self) -> dict[UID, tuple[bool, bool]]:
        found = self._of(SCP_SCU_RoleSelectionNegotiation)
        return {UID(one.sop_class_uid): (bool(one.scu_role), bool(one.scp_role)) for one in found}

    @property
    def identity(self) -> tuple[str, str] | None:
        """User and passcode; of types 3 to 5 (Kerberos, SAML, JWT) nothing can be checked here."""
        for one in self._of(UserIdentityNegotiation):
            if one.user_identity_type in (1, 2):
                return _text(one.primary_field), _text(one.secondary_field)
        return None

    def identity_answer(self) -> list[UserIdentityNegotiation]:
        """States that the identity has been checked, where the requestor asks for a response (PS3.7 D.3.3.7.2)."""
        if not any(one.positive_response_requested for one in self._of(UserIdentityNegotiation)):
            return []
        item = UserIdentityNegotiation()
        item.server_response = b""
        return [item]

    def window(self) -> list[AsynchronousOperationsWindowNegotiation]:
        """One operation at a time, whatever has been offered; left out, the effect is the same (PS3.7 D.3.3.3)."""
        if not self._of(AsynchronousOperationsWindowNegotiation):
            return []
        item = AsynchronousOperationsWindowNegotiation()
        item.maximum_number_operations_invoked = item.maximum_number_operations_performed = 1
        return [item]

    def extended(self) -> tuple[bool, list[SOPClassExtendedNegotiation]]:
        """Answered for the worklist, no longer than offered: 1 for what is agreed, 0 for the rest (PS3.4 K.5.1)."""
        for one in self._of(SOPClassExtendedNegotiation):
            if one.sop_class_uid == ModalityWorklistInformationFind:
                offered = bytes(one.service_class_application_information)
                agreed = bytes(1 if at in (0, 1, _FUZZY) and byte == 1 else 0 for at, byte in enumerate(offered))
                item = SOPClassExtendedNegotiation()
                item.sop_class_uid = ModalityWorklistInformationFind
                item.service_class_application_information = agreed
                return agreed[_FUZZY : _FUZZY + 1] == b"\x01", [item] if agreed else []
        return False, []


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _accepting(
    request: A_ASSOCIATE, results: Collection[PresentationContext], items: Collection[Any], terms: Terms
) -> A_ASSOCIATE:
    answer = A_ASSOCIATE()
    answer.application_context_name = APPLICATION_CONTEXT
    # Sent back as they came; the requestor shall not look at them (PS3.8 Table 9-17).
    answer.calling_ae_title, answer.called_ae_title = request.calling_ae_title, request.called_ae_title
    answer.result, answer.result_source = 0x00, 0x01
    answer.presentation_context_definition_results_list = list(results)
    length, uid, name = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    length.maximum_length_received = terms.max_bytes
    uid.implementation_class_uid = UID(terms.implementation_uid)
    name.implementation_version_name = terms.implementation_version
    answer.user_information = [length, uid, name, *items]
    return answer
