"""`gateway check`: everything that would go wrong at the start or tonight, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from gateway.assembly.deliveries import writer_of
from gateway.assembly.destinations import tls_of_destination
from gateway.assembly.dicom_destinations import peer_of, tls_of_dicom_destination
from gateway.assembly.dicom_sources import peer_of_source
from gateway.assembly.ehrs import client_of
from gateway.assembly.forward_to_checks import reached, unused_forwarding
from gateway.assembly.http import tls_of_http
from gateway.assembly.http_receivers import authorization_of, kind_of, usable
from gateway.assembly.listening_ports import key_of_listener, listening_ports
from gateway.assembly.mappings import load_mappings
from gateway.assembly.open_doors import open_doors
from gateway.assembly.orders import access_of
from gateway.assembly.source_checks import asked
from gateway.assembly.worklist import dicom_ports
from gateway.clock import now
from gateway.config.destinations import Destination
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.ehrs import Ehr
from gateway.config.hl7 import Listener
from gateway.config.tree import Config
from gateway.errors import ConfigError, GatewayError, SettingFault
from gateway.journey.order_intake.sources import SERVED
from gateway.operations.check import (
    CheckFinding,
    check_database,
    check_folder,
    check_ports,
    check_shared,
    gateway_serves,
)
from gateway.operations.mappings_view import change_lines, mappings_view
from gateway.records.retention import RetentionKind
from gateway.wire.dimse.commitment import PUSH_MODEL
from gateway.wire.dimse.requestor import associated
from gateway.wire.dimse.requestor_operations import AVAILABILITY, MPPS, VERIFICATION, context_for, proposals
from gateway.wire.fhir.capability import Capabilities, Way
from gateway.wire.hl7.mllp_client import MllpClient

MOST_SECONDS: Final = 10.0
"""For a connection to a destination, or an answer of an EHR."""


async def check(config: Config, *, offline: bool, file: Path | None = None) -> list[CheckFinding]:
    """Look at mappings and settings, and unless `offline` at ports, database and EHRs. `file`: of the configuration."""
    ports = list(listening_ports(config))
    doors = await asyncio.to_thread(lambda: list(open_doors(config, file, now())))
    findings = [*_mappings(config), *_settings(config), *check_shared(ports), *doors]
    if (folder := config.studies.spool.folder) is not None:
        findings.append(await asyncio.to_thread(check_folder, "studies.spool.folder", folder))
    if not offline:
        serves = await asyncio.to_thread(_gateway_serves, config)
        findings += check_ports(ports, gateway_serves=serves)
        database = config.database
        findings.append(await asyncio.to_thread(check_database, database.url, database.answer_seconds))
        findings += await asyncio.gather(*map(_destination, config.hl7.destinations))
        findings += await asyncio.gather(*(_dicom_destination(config, one) for one in config.dicom.destinations))
        findings += await asyncio.gather(*(reached(one, MOST_SECONDS) for one in config.studies.forward_to))
        sources = [one for one in config.studies.sources if one.enabled]
        findings += await asyncio.gather(*(asked(config, one, MOST_SECONDS) for one in sources))
        findings += await asyncio.gather(*(_ehr(config, number) for number in range(len(config.ehrs))))
    return findings


def _gateway_serves(config: Config) -> bool:
    return gateway_serves(config.http.host, config.http.port, tls=config.http.tls is not None)


def _mappings(config: Config) -> list[CheckFinding]:
    try:
        mappings = load_mappings(config)
    except ConfigError as error:
        return [CheckFinding("mappings", False, fault) for fault in error.faults]
    rows = sum(len(level) for file in mappings.files.values() for level in file.rows.values())
    findings = [CheckFinding("mappings", True, f"{len(mappings.files)} files, {rows} rows")]
    if config.mappings.overlay is not None:
        view = mappings_view(mappings)
        findings += [CheckFinding("mappings.overlay", True, line) for line in change_lines(view.changes)]
        findings += [CheckFinding("mappings.overlay", True, remark, warning=True) for remark in view.remarks]
    return findings


def _listed_settings(config: Config) -> list[CheckFinding]:
    """What keeps certificates, keys and addresses from being used."""
    findings = [
        finding
        for listener in config.hl7.listeners
        for finding in (*_usable(partial(access_of, listener)), *_types(listener))
    ]
    findings += _usable(lambda: list(dicom_ports(config.dicom)))
    findings += _usable(partial(tls_of_http, config.http))
    findings += [one for to in config.hl7.destinations for one in _usable(partial(tls_of_destination, to))]
    findings += [one for to in config.dicom.destinations for one in _usable(partial(tls_of_dicom_destination, to))]
    findings += [one for to in config.studies.forward_to for one in _usable(partial(usable, to))]
    archives = [one for one in config.studies.sources if one.kind == "dicom"]
    findings += [one for to in archives for one in _usable(partial(peer_of_source, config, to, MOST_SECONDS))]
    findings += [one for source in config.studies.sources for one in _usable(partial(usable, source))]
    findings += [finding for ehr in config.ehrs for finding in _usable(partial(usable, ehr))]
    return findings


def _settings(config: Config) -> list[CheckFinding]:
    findings = _listed_settings(config)
    if not config.hl7.listeners:
        findings.append(CheckFinding("hl7.listeners", True, "none: no RIS can send", warning=True))
    if not config.ehrs:
        findings.append(CheckFinding("ehrs", True, "none: studies are kept, but nothing is delivered", warning=True))
    findings += _retention(config)
    findings += _without_effect(config)
    findings += unused_forwarding(config)
    issuer = config.site.patient_id_issuer
    if config.ehrs and not issuer:
        text = "not set: a Patient ID without issuer is sent under a derived urn:uuid:, which the EHR will not know"
        findings.append(CheckFinding("site.patient_id_issuer", True, text, warning=True))
    elif config.ehrs and issuer not in config.site.identifier_systems:
        text = f"has no system for {issuer}; a derived urn:uuid: is sent, which the EHR will not know"
        findings.append(CheckFinding("site.identifier_systems", True, text, warning=True))
    if config.ehrs and not config.site.order_systems:
        text = "not set: accession numbers are sent under a derived urn:uuid:, which the EHR will not know"
        findings.append(CheckFinding("site.order_systems", True, text, warning=True))
    return findings


def _without_effect(config: Config) -> Iterator[CheckFinding]:
    """Keys that others leave without an effect."""
    studies, reconcile = config.studies, config.reconcile
    if studies.longest_wait_seconds < studies.quiet_seconds:
        text = "shorter than quiet_seconds, which plays no part then"
        yield CheckFinding("studies.longest_wait_seconds", True, text, warning=True)
    if reconcile.days is None and (reconcile.fix or reconcile.hours):
        text = "not set: nothing is compared by itself, so that fix and hours play no part"
        yield CheckFinding("reconcile.days", True, text, warning=True)


def _retention(config: Config) -> Iterator[CheckFinding]:
    days = config.retention.ages.days
    orders, studies = days.get(RetentionKind.ORDERS), days.get(RetentionKind.STUDIES)
    if not days:
        yield CheckFinding("retention", True, "no ages: nothing is ever deleted", warning=True)
    elif orders is not None and (studies is None or studies > orders):
        text = "an order stays as long as its study: give studies_days, not more than orders_days"
        yield CheckFinding("retention.orders_days", True, text, warning=True)


def _usable(certificates: Callable[[], object]) -> Iterator[CheckFinding]:
    try:
        certificates()
    except ConfigError as error:
        for fault in error.causes:
            if isinstance(fault, SettingFault):
                yield CheckFinding(fault.section, False, fault.text)
            else:
                yield CheckFinding("configuration", False, fault)


def _types(listener: Listener) -> Iterator[CheckFinding]:
    """Types that are listed and yet never applied."""
    kinds = {kind for kind, _ in SERVED}
    listed = [one for rules in (listener, *listener.sources) for one in rules.message_types]
    for one in dict.fromkeys(listed):
        kind, _, trigger = one.partition("^")
        if kind not in kinds or (trigger and (kind, trigger) not in SERVED):
            yield CheckFinding(
                key_of_listener(listener.name), True, f"message_types: {one} is not served", warning=True
            )


async def _dicom_destination(config: Config, destination: DicomDestination) -> CheckFinding:
    """Whether a destination accepts an association for what it is to get; nothing is sent."""
    what = f"dicom.destinations {destination.name}"
    try:
        peer = peer_of(config, destination, min(destination.timeout_seconds, MOST_SECONDS))
        wanted = {MPPS: "performed steps"} if destination.mpps else {}
        wanted |= {AVAILABILITY: "notifications"} if destination.ian else {}
        wanted |= {PUSH_MODEL: "storage commitment"} if destination.storage_commitment else {}
        # Verification for a destination of instances: whether it takes what will come, only what comes shows.
        asked = wanted or {VERIFICATION: "verification"}
        async with associated(peer, proposals(*asked)) as association:
            for sop_class in asked:
                context_for(association, sop_class)
            return CheckFinding(what, True, f"{peer.place} accepts {' and '.join(asked.values())}")
    except ConfigError:
        return CheckFinding(what, False, "not asked, for it cannot be reached with these settings")
    except GatewayError as error:
        return CheckFinding(what, True, str(error), warning=True)


async def _destination(destination: Destination) -> CheckFinding:
    """Whether a destination lets us connect; nothing is sent."""
    what, place = f"hl7.destinations {destination.name}", f"{destination.host}:{destination.port}"
    try:
        client = MllpClient(
            destination.host, destination.port, timeout=MOST_SECONDS, tls=tls_of_destination(destination)
        )
        async with client:
            return CheckFinding(what, True, f"{place} accepts connections")
    except ConfigError:
        return CheckFinding(what, False, "not asked, for it cannot be reached with these settings")
    except GatewayError as error:
        # Statuses wait until it listens: no reason not to start.
        return CheckFinding(what, True, str(error), warning=True)


async def _ehr(config: Config, number: int) -> CheckFinding:
    ehr = config.ehrs[number]
    what, kind = f"ehrs {ehr.name}", kind_of(ehr)
    try:
        authorization = authorization_of(ehr)
        await authorization.headers()
        async with client_of(ehr, authorization=authorization, most_seconds=MOST_SECONDS) as client:
            writer = writer_of(ehr, client)
            found = await writer.ways.capabilities(ehr.resource)
            way = await writer.ways.way(ehr.resource)
    except ConfigError:
        return CheckFinding(what, False, f"auth {kind}: not asked, for it cannot be reached with these settings")
    except GatewayError as error:
        return CheckFinding(what, False, f"auth {kind}: {error}")
    if not found.speaks(ehr.fhir_version):
        return CheckFinding(
            what, False, f"speaks FHIR {found.fhir_version or '(unknown)'}, configured is {ehr.fhir_version}"
        )
    access = f"auth {kind}" + (", token granted" if kind in TOKENS else "")
    remark = _remark_on(found, way, ehr.resource) + _remark_on_hapi(found, way, ehr)
    detail = f"FHIR {found.fhir_version}, {access}, {ehr.resource} is written by {WAYS[way]}{remark}"
    return CheckFinding(what, True, detail, warning=bool(remark))


def _remark_on(found: Capabilities, way: Way, resource: str) -> str:
    """What a person should know of this way of writing at this EHR; empty: nothing."""
    if not found.served:
        return f"; the EHR does not announce {resource} at all"
    is_served = way in found.ways or (way is Way.CLIENT_ID and _is_hapi(found))
    if way is not Way.SEARCH and way is not Way.TRANSACTION and not is_served:
        return ", which the EHR does not announce"
    if way is Way.TRANSACTION and not found.transactions:
        return "; the EHR does not announce transactions"
    if way is Way.SEARCH:
        return "; another writer may double it, which is found afterwards"
    return ""


def _is_hapi(found: Capabilities) -> bool:
    return "HAPI" in found.software


def _remark_on_hapi(found: Capabilities, way: Way, ehr: Ehr) -> str:
    """What HAPI FHIR does and its CapabilityStatement does not announce; empty for another server."""
    if not _is_hapi(found):
        return ""
    safest = "; HAPI FHIR serves 'write: client_id', the safest way" if way is not Way.CLIENT_ID else ""
    by_patient = "; its searches by patient find only studies with 'patient: find' or 'create'"
    return safest + (by_patient if ehr.patient == "identifier" else "")


TOKENS: Final = ("client_credentials", "smart")
"""Kinds of authentication that ask for a token first."""
WAYS: Final = {
    Way.CLIENT_ID: "PUT under an id of ours",
    Way.CONDITIONAL_UPDATE: "conditional update",
    Way.CONDITIONAL_CREATE: "conditional create, then by id",
    Way.TRANSACTION: "conditional update in a transaction",
    Way.SEARCH: "search, then POST, then by id",
}
