"""The audit trail: what the gateway records of itself, its chaining, and the repositories that it is sent to."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial

from gateway.assembly.http import VERSION
from gateway.assembly.tls import client_tls
from gateway.clock import Clock
from gateway.config.audit import MOST_WAITING, AuditRepository
from gateway.config.ehrs import Ehr
from gateway.config.tree import Config
from gateway.operations.audit.dicom_message import AuditSource
from gateway.operations.audit.ehr_receiver import AT_ONCE, ROUNDS, EhrReceiver
from gateway.operations.audit.receiving import SyslogReceiver
from gateway.operations.audit.shipping import HELD_SECONDS, AuditShipping, ShippingSetup
from gateway.records.audit import GATEWAY, Action, AuditEvent, AuditKind, AuditType
from gateway.store import Store
from gateway.store.audit_log import AuditLog
from gateway.wire.fhir import FhirClient
from gateway.wire.syslog.message import SyslogHeader
from gateway.wire.syslog.sender import SyslogSender, TlsSyslog, UdpSyslog


def audit_source(config: Config) -> AuditSource:
    """Who reports, in audit messages."""
    host = socket.gethostname()
    return AuditSource(config.site.name, config.audit.source_id or host, host)


def open_audit_log(store: Store, clock: Clock, stack: AsyncExitStack) -> AuditLog:
    """Records that the gateway starts now, and, when `stack` ends, that it stops."""
    audit_log = AuditLog(store)

    async def close() -> None:
        audit_log.note(_activity(AuditType.STOP, clock()))
        await audit_log.close()

    stack.push_async_callback(close)
    audit_log.note(_activity(AuditType.START, clock()))
    return audit_log


def _activity(what: AuditType, moment: int) -> AuditEvent:
    detail = {"version": VERSION, "host": socket.gethostname()}
    return AuditEvent(AuditKind.APPLICATION_ACTIVITY, Action.EXECUTE, moment, GATEWAY, what, detail=detail)


def destinations_of(config: Config) -> tuple[str, ...]:
    """The names by which the positions of those are kept who are sent the trail."""
    ehrs = (position_of(ehr) for ehr in config.ehrs if ehr.audit_events)
    return (*(one.name for one in config.audit.repositories), *ehrs)


def position_of(ehr: Ehr) -> str:
    """The name of an EHR among those who are sent the trail; no repository can have it."""
    return f"ehr:{ehr.name}"


def shippings(
    config: Config, store: Store, clients: Mapping[str, FhirClient], clock: Clock
) -> Iterator[AuditShipping]:  # fmt: skip
    """What sends the trail, to each repository and each EHR that takes it; `clients`: by the name of the EHR.

    Raises `ConfigError` when a certificate cannot be used.
    """
    source = audit_source(config)
    for one in config.audit.repositories:
        header = SyslogHeader(source.address, "imaging-gateway", one.message_id)
        receiver = SyslogReceiver(_sender(one), header, source, clock)
        yield AuditShipping(store, ShippingSetup(one.name, one.most_waiting), receiver, clock)
    for ehr in config.ehrs:
        if ehr.audit_events:
            at_once = min(AT_ONCE, ehr.concurrency)
            held = HELD_SECONDS + ROUNDS * ehr.timeout_seconds
            setup = ShippingSetup(position_of(ehr), MOST_WAITING, held)
            yield AuditShipping(store, setup, EhrReceiver(clients[ehr.name], source, clock, at_once=at_once), clock)


def _sender(repository: AuditRepository) -> SyslogSender:
    if repository.transport == "udp":
        return UdpSyslog(repository.host, repository.port)
    tls = client_tls(repository.tls, f"audit.repositories {repository.name}")
    make = partial(TlsSyslog, repository.host, repository.port, timeout=repository.timeout_seconds)
    return make(tls=tls)
