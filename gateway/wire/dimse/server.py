# Long: `__init__` takes all settings of the server, a line for each.
"""A DICOM service class provider on one port: it listens, keeps count of its associations, and ends them.

`services` has what is done for a request, `negotiation` what an association is agreed to be for, `policy` who may
have one, `association` the protocol.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from pydicom.uid import UID
from pynetdicom.pdu_primitives import A_ASSOCIATE

from gateway.errors import Unavailable
from gateway.wire.access import certificate_names
from gateway.wire.dimse import _pynetdicom, command
from gateway.wire.dimse.association import Association, Operation
from gateway.wire.dimse.commitment import PUSH_MODEL, CommitmentHandler, ReportHandler
from gateway.wire.dimse.data_set import DataSetFile, IsEnough, UnnamedFile
from gateway.wire.dimse.header import has_header
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.negotiation import Agreement, Terms, negotiate
from gateway.wire.dimse.normalized import NotificationHandler, PerformedStepHandler, no_notifications
from gateway.wire.dimse.open_associations import OpenAssociations
from gateway.wire.dimse.policy import COMMITMENT, AcceptorPolicy, Caller, Rejection
from gateway.wire.dimse.receiving import StoreHandler
from gateway.wire.dimse.services import FindHandler, Services
from gateway.wire.listening import Listening
from gateway.wire.places import Denial, Places, share_of_address
from gateway.wire.shared_port import SharedPort

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.05
WAITING: Final = 100
"""Connections beyond `max_associations`, which ask for an association or are told that there is none for them."""
_WAITING_SECONDS: Final = 0.5
"""A connection that is older than this and has not asked goes when another needs its place."""
ARTIM_SECONDS: Final = 5.0
"""The ARTIM timer (PS3.8 9.1.5)."""
VERSION_NAME: Final = "IMAGING_GATEWAY"
"""Implementation Version Name (PS3.7 D.3.3.2.2), at most 16 characters."""


class AssociationRefusal(NamedTuple):
    """A connection, an association or a presentation context that was not accepted."""

    calling_ae: str
    address: str
    what: str
    """`connection`, `association` or `context`; of a connection no AE title is known."""
    why: str


class DimseServer:
    """Listens on one port, or on one more with TLS, on the event loop on which `start` is called.

    Associations that `policy` does not admit are rejected, those beyond its limit as transient, local limit exceeded
    (PS3.8 9.3.4). One without traffic for `idle_seconds` is aborted; a connection has `artim_seconds` for the whole
    of its A-ASSOCIATE-RQ (the ARTIM timer of PS3.8 9.1.5). `max_bytes` is the longest P-DATA-TF that peers are asked
    to send (0: no limit), `max_data_set_bytes` the longest data set that is taken, `temporary_folder`
    where a long data set waits for its last fragment (None: the folder of the system); of a C-STORE it waits where
    `new_file` says instead, by SOP Class, SOP Instance and transfer syntax. With `headers_only` what stands behind the
    first `LONG_BYTES` of a C-STORE's data set is dropped as it comes, where these hold its header. Without
    `commitments` Storage Commitment is not accepted; with `commitment_reports` also from a requestor that is its SCP.
    """

    farewell_seconds = 1.0
    """For a peer to close its end after an A-ABORT, a rejection or a release (Sta13)."""
    quiet_seconds = 0.5
    """An association without traffic for this long is not at work, and is released at the end."""

    def __init__(
        self,
        *,
        policy: AcceptorPolicy,
        find: FindHandler,
        store: StoreHandler,
        performed_steps: PerformedStepHandler | None = None,
        notifications: NotificationHandler = no_notifications,
        commitments: CommitmentHandler | None = None,
        commitment_reports: ReportHandler | None = None,
        implementation_uid: str,
        max_bytes: int = 131072,
        max_data_set_bytes: int = 4 * 1024**3,
        temporary_folder: Path | None = None,
        new_file: Callable[[str, str, str], DataSetFile] | None = None,
        headers_only: bool = False,
        artim_seconds: float = ARTIM_SECONDS,
        idle_seconds: float = 600.0,
        on_refused: Callable[[AssociationRefusal], None] | None = None,
        on_ended: Callable[[Caller], None] | None = None,
    ) -> None:
        self._policy = policy
        self._services = Services(find, store, performed_steps, notifications, commitments, commitment_reports)
        unserved = frozenset({COMMITMENT} if commitments is None else ())
        roles = frozenset(() if commitment_reports is None else {PUSH_MODEL})
        self._terms = Terms(implementation_uid, VERSION_NAME, max_bytes, policy.storage_classes, unserved, roles)
        self.max_bytes = max_bytes
        self.max_data_set_bytes = max_data_set_bytes
        self._temporary_folder = temporary_folder
        self._new_file = new_file
        self._headers_only = headers_only
        self.artim_seconds = artim_seconds
        self.idle_seconds = idle_seconds
        self._on_refused = on_refused
        self._on_ended = on_ended
        self._places = _places(policy)
        self._listening: list[Listening] = []
        self._connections: set[Association] = set()
        self._established = OpenAssociations()

    async def start(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, shared: SharedPort | None = None
    ) -> int:
        """Listen on one more port; returns it, also when it was asked for as 0. `shared`: what listens there already,
        for several processes.

        Raises `Unavailable` if the address cannot be listened on.
        """
        _pynetdicom.configure()
        listening = Listening(
            "DICOM",
            lambda place: Association(self, place),
            self._places,
            tls=tls,
            handshake_seconds=self.artim_seconds,
            turned_away=self._turned_away,
        )
        try:
            await listening.start(host, port, shared=shared)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Unavailable(f"cannot listen there ({reason})", place=f"{host}:{port}") from error
        self._listening.append(listening)
        return listening.port

    @property
    def port(self) -> int:
        """The first port listened on."""
        if not self._listening:
            raise RuntimeError("not started")
        return self._listening[0].port

    @property
    def associations(self) -> int:
        """How many are established."""
        return len(self._established)

    async def stop(self, grace_seconds: float) -> None:
        """Listen no more, let associations at work finish for up to `grace_seconds`, release the others, abort what
        remains."""
        for listening in self._listening:
            listening.close()
        self._listening = []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_seconds
        for connection in self._connections.difference(self._established):
            connection.abort()
        while self._connections and loop.time() < deadline:
            for association in self._established:
                if not association.is_busy and association.seconds_quiet() >= self.quiet_seconds:
                    association.release()
            await asyncio.sleep(_POLL_SECONDS)
        for association in [*self._connections]:
            association.abort()
        closed = [association.closed.wait() for association in self._connections]
        await asyncio.gather(*closed)

    # What an association asks of its owner

    def connected(self, association: Association) -> None:
        self._connections.add(association)

    def asked(self, association: Association, request: A_ASSOCIATE, version: int) -> Agreement | Rejection:
        opened = self._established
        answer = negotiate(
            request,
            version,
            association.address,
            certificate_names(association.transport),
            lambda caller, identity: self._policy.admit(caller, identity, opened.by_title, opened.by_address),
            self._terms,
        )
        calling_ae = str(request.calling_ae_title).strip()
        if isinstance(answer, Rejection):
            log.warning("DICOM association from %s refused: %s", association.address, answer.why)
            self._refused(AssociationRefusal(calling_ae, association.address, "association", answer.why))
            return answer
        for context in request.presentation_context_definition_list:
            if int(context.context_id) not in answer.contexts:
                why = f"presentation context for {UID(str(context.abstract_syntax)).name}"
                self._refused(AssociationRefusal(calling_ae, association.address, "context", why))
        return answer

    def _turned_away(self, address: str, _port: int, denial: Denial) -> None:
        why = "too many connections of its address" if denial is Denial.OF_ADDRESS else "too many connections"
        self._refused(AssociationRefusal("", address, "connection", why))

    def _refused(self, refusal: AssociationRefusal) -> None:
        if self._on_refused is not None:
            self._on_refused(refusal)

    def established(self, association: Association) -> None:
        assert association.agreement is not None
        self._established.add(association, association.agreement.caller)

    def ended(self, association: Association) -> None:
        self._connections.discard(association)
        self._established.discard(association)
        if self._on_ended is not None and association.agreement is not None:
            self._on_ended(association.agreement.caller)

    def file_for(self, association: Association, message: DimseMessage) -> DataSetFile:
        request = message.command
        if self._new_file is None or request.field != command.C_STORE_RQ:
            return UnnamedFile(self._temporary_folder)
        syntax = association.context(message).transfer_syntax
        return self._new_file(request.sop_class, request.sop_instance, syntax)

    def enough_of(self, association: Association, message: DimseMessage) -> IsEnough | None:
        if not self._headers_only or message.command.field != command.C_STORE_RQ:
            return None
        return partial(has_header, transfer_syntax_uid=association.context(message).transfer_syntax)

    def operation(self, association: Association, message: DimseMessage) -> Operation | None:
        return self._services.operation(association, message)


def _places(policy: AcceptorPolicy) -> Places:
    most, same = policy.max_associations, policy.max_associations_per_address
    return Places(most + WAITING, same and same + share_of_address(WAITING), patience=_WAITING_SECONDS)
