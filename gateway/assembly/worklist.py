"""The DICOM server: worklist queries, performed steps, notifications and arriving instances, and who may associate."""

from __future__ import annotations

import ipaddress
import logging
import ssl
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial

from gateway import mapping
from gateway.assembly.binding import bind
from gateway.assembly.commitment import archive_reports
from gateway.assembly.implementation import implementation_uid
from gateway.assembly.listening_ports import DICOM, DICOM_TLS
from gateway.assembly.orders import GRACE_SECONDS
from gateway.assembly.processes.place import ProcessPlace
from gateway.assembly.refused_associations import RefusedAssociations
from gateway.assembly.shares import of_address
from gateway.assembly.study_sources import notified_studies
from gateway.assembly.tls import server_tls
from gateway.clock import Clock
from gateway.config.dicom import Dicom
from gateway.config.tree import Config
from gateway.errors import SettingFault
from gateway.journey.instance_availability.station import InstanceAvailability
from gateway.journey.performed_step.scp import PerformedStepsScp
from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.storage_commitment.station import StorageCommitment
from gateway.journey.study_arrival.station import StudyArrival
from gateway.journey.worklist.query_log import QueryLog
from gateway.journey.worklist.scp import WorklistScp
from gateway.journey.worklist.station import WITHOUT_MAPPING, Rules, Worklist
from gateway.operations.scanner_worklist import ScannerWorklist
from gateway.operations.scanner_worklist import scanner_worklist as as_seen
from gateway.operations.why_not_shown import WhyNotShown
from gateway.operations.why_not_shown import why as explain
from gateway.store import Store
from gateway.wire.dimse import AcceptorPolicy, DimseServer
from gateway.wire.dimse import Peer as DimsePeer

log = logging.getLogger(__name__)


async def why(
    config: Config,
    store: Store,
    mappings: mapping.Mappings,
    clock: Clock,
    number: str,
    station: str,
) -> WhyNotShown | None:
    """What keeps an order off a scanner; None when nothing is known under this number."""
    rules, policy = rules_of(config, mappings), policy_of(config.dicom)
    return await store.read(lambda connection: explain(connection, policy, rules, number, station, clock()))


async def scanner_worklist(
    config: Config, store: Store, mappings: mapping.Mappings, clock: Clock, station: str, day: str
) -> ScannerWorklist:
    """The worklist as the scanner of an AE title sees it. `day`: DA, empty for the day of its last query."""
    rules, policy = rules_of(config, mappings), policy_of(config.dicom)
    return await store.read(lambda connection: as_seen(connection, policy, rules, station, clock(), day))


def make_worklist(
    config: Config, store: Store, mappings: mapping.Mappings, clock: Clock, stack: AsyncExitStack
) -> Worklist:
    """The station that every way into the gateway shares."""
    queries = QueryLog(store)
    stack.push_async_callback(queries.close)
    return Worklist(store, rules_of(config, mappings), clock, queries)


async def serve_dicom(
    config: Config,
    store: Store,
    arrival: StudyArrival,
    clock: Clock,
    stack: AsyncExitStack,
    worklist: Worklist,
    performed_steps: PerformedSteps,
    refused: RefusedAssociations,
    commitment: StorageCommitment | None,
    place: ProcessPlace,
) -> DimseServer:
    dicom = config.dicom
    server = DimseServer(
        policy=policy_of(dicom),
        find=WorklistScp(worklist).find,
        store=arrival.store,
        performed_steps=PerformedStepsScp(performed_steps),
        notifications=InstanceAvailability(store, clock, notified_studies(config, clock)).create,
        commitments=commitment.request if commitment is not None else None,
        commitment_reports=archive_reports(config, store, clock),
        implementation_uid=implementation_uid(config),
        max_bytes=dicom.max_pdu_bytes, max_data_set_bytes=dicom.max_object_bytes,
        temporary_folder=dicom.temporary_folder,
        new_file=arrival.new_file, headers_only=arrival.new_file is None,
        idle_seconds=dicom.idle_seconds,
        on_refused=refused.note,
        on_ended=arrival.association_ended,
    )  # fmt: skip
    return await _listening(server, dicom, stack, place)


async def _listening(server: DimseServer, dicom: Dicom, stack: AsyncExitStack, place: ProcessPlace) -> DimseServer:
    stack.push_async_callback(server.stop, GRACE_SECONDS)
    for key, port, tls in dicom_ports(dicom):
        start = partial(server.start, dicom.host, port, tls, place.ports.get(key))
        listening = await bind(key, dicom.host, port, start)
        log.info("DICOM as %s on %s:%d%s", dicom.ae_title, dicom.host, listening, " with TLS" if tls else "")
    return server


def rules_of(config: Config, mappings: mapping.Mappings) -> Rules:
    """What the site says of its worklist."""
    dicom = config.dicom
    return Rules(
        hidden_states=dicom.hidden_states,
        max_matches=dicom.max_worklist_matches,
        pn_implicit_wildcard=dicom.pn_implicit_wildcard,
        zone=config.site.zone,
        started_grace_seconds=dicom.started_grace_seconds,
        expire_after_days=config.worklist.expire_after_days,
        known=mappings.orders.tags | WITHOUT_MAPPING if dicom.warn_of_unknown_keys else None,
        scanners=mappings.scanners,
    )


def _tls_fault(key: str, text: str) -> SettingFault:
    return SettingFault(f"dicom.tls.{key}", text)


def dicom_ports(dicom: Dicom) -> Iterator[tuple[str, int, ssl.SSLContext | None]]:
    """Key, port and TLS of each DICOM port. Raises `ConfigError` when a certificate cannot be used."""
    if dicom.tls is None or not dicom.tls.only:
        yield DICOM, dicom.port, None
    if dicom.tls is not None:
        yield DICOM_TLS, dicom.tls.port, server_tls(dicom.tls, _tls_fault)


def scanners_of(dicom: Dicom) -> list[str]:
    """AE titles of those who may ask for their worklist, as far as the configuration names them."""
    peers = [peer.ae_title for peer in dicom.peers if "worklist" in peer.services]
    listed = {peer.ae_title for peer in dicom.peers}
    return sorted({*peers, *(title for title in dicom.allowed_calling_aes if title not in listed)})


def policy_of(dicom: Dicom) -> AcceptorPolicy:
    """Who may associate with us, and for what."""
    peers = {title: DimsePeer() for title in dicom.allowed_calling_aes}
    for peer in dicom.peers:
        peers[peer.ae_title] = DimsePeer(
            addresses=tuple(ipaddress.ip_network(one, strict=False) for one in peer.allowed_addresses),
            certificate_names=frozenset(peer.allowed_certificates),
            services=frozenset(peer.services),
            max_associations=peer.max_associations,
            user=peer.user,
            passcode=peer.passcode,
        )
    return AcceptorPolicy(
        ae_title=dicom.ae_title,
        check_called_ae=dicom.check_called_ae,
        peers=peers,
        others=None if dicom.allowed_calling_aes else DimsePeer(),
        max_associations=dicom.max_associations,
        max_associations_per_address=of_address(dicom.max_associations, dicom.max_associations_per_address),
        storage_classes=frozenset(dicom.storage_classes),
    )
