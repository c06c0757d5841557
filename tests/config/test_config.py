"""The configuration: every fault at its line, the environment before the file, secrets shown nowhere."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from gateway.config.database import Database
from gateway.config.dicom import Dicom
from gateway.config.ehrs import Ehr
from gateway.config.hl7 import Hl7, Listener
from gateway.config.http import Http
from gateway.config.http_receiver import HttpAuth
from gateway.config.tree import Config, load
from gateway.errors import ConfigError
from gateway.records.order_check import CheckPolicy
from gateway.records.order_progress import Progress
from gateway.records.step import StepState

Write = Callable[[str], Path]
EXAMPLE = Path(__file__).parents[2] / "gateway.example.yaml"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in os.environ:
        if key.startswith("GATEWAY_"):
            monkeypatch.delenv(key)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> Path:
        path = tmp_path / "gateway.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return put


def faults(path: Path | None) -> list[str]:
    """What `load` says, each with the file's name alone."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [fault.replace(f"{path}", "gateway.yaml") for fault in caught.value.faults]


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of the tree, dotted; entries of lists without their index."""
    for name, field in model.model_fields.items():
        inner = [one for one in _types(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        if inner:
            yield from keys(inner[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation
    if typing.get_origin(annotation) in (list, types.UnionType, typing.Annotated):
        for one in typing.get_args(annotation):
            yield from _types(one)


VALUES: dict[str, tuple[Any, Any]] = {
    # key: (as it stands in the file, as it is read)
    "site.name": ("St. Testing", "St. Testing"),
    "site.timezone": ("Europe/Berlin", "Europe/Berlin"),
    "site.uid_root": ("1.2.840.99999", "1.2.840.99999"),
    "site.patient_id_issuer": ("HOSP", "HOSP"),
    "site.patient_id_types": (["MR", "U"], ["MR", "U"]),
    "site.identifier_systems": ({"HOSP": "urn:oid:1.2.3"}, {"HOSP": "urn:oid:1.2.3"}),
    "site.study_id_system": ("urn:oid:1.2.5", "urn:oid:1.2.5"),
    "site.viewer_url": ("https://viewer.test/?study={study_uid}", "https://viewer.test/?study={study_uid}"),
    "site.wado_rs_url": ("https://pacs.test/dicomweb/studies/", "https://pacs.test/dicomweb"),
    "site.order_systems": ({"HOSP": "urn:oid:1.2.4"}, {"HOSP": "urn:oid:1.2.4"}),
    "database.url": ("postgresql://u:p@h:5432/d", "postgresql://u:p@h:5432/d"),
    "database.answer_seconds": (5, 5.0),
    "database.job_seconds": (60, 60.0),
    "audit.source_id": ("gateway1", "gateway1"),
    "audit.repositories.name": ("siem", "siem"),
    "audit.repositories.host": ("siem.test", "siem.test"),
    "audit.repositories.port": (6515, 6515),
    "audit.repositories.transport": ("udp", "udp"),
    "audit.repositories.tls.ca": ("ca.pem", Path("ca.pem")),
    "audit.repositories.tls.certificate": ("ours.pem", Path("ours.pem")),
    "audit.repositories.tls.key": ("ours.key", Path("ours.key")),
    "audit.repositories.tls.key_password": ("secret", "secret"),
    "audit.repositories.message_id": ("IHE+RFC-3881", "IHE+RFC-3881"),
    "audit.repositories.most_waiting": (5000, 5000),
    "audit.repositories.timeout_seconds": (5, 5.0),
    "hl7.destinations.name": ("ris", "ris"),
    "hl7.destinations.host": ("ris.test", "ris.test"),
    "hl7.destinations.port": (2580, 2580),
    "hl7.destinations.tls.ca": ("ca.pem", Path("ca.pem")),
    "hl7.destinations.tls.certificate": ("ours.pem", Path("ours.pem")),
    "hl7.destinations.tls.key": ("ours.key", Path("ours.key")),
    "hl7.destinations.tls.key_password": ("secret", "secret"),
    "hl7.destinations.status": ("OMI^O23", "OMI^O23"),
    "hl7.destinations.statuses": (["started"], [Progress.STARTED]),
    "hl7.destinations.version": ("2.6", "2.6"),
    "hl7.destinations.charset": ("8859/1", "8859/1"),
    "hl7.destinations.sending_application": ("IMAGING", "IMAGING"),
    "hl7.destinations.sending_facility": ("US", "US"),
    "hl7.destinations.receiving_application": ("RIS", "RIS"),
    "hl7.destinations.receiving_facility": ("HOSP", "HOSP"),
    "hl7.destinations.forward": (["ADT", "ORM^O01"], ["ADT", "ORM^O01"]),
    "hl7.destinations.connections": (4, 4),
    "hl7.destinations.timeout_seconds": (5, 5.0),
    "hl7.destinations.retry.first_seconds": (1, 1.0),
    "hl7.destinations.retry.max_seconds": (30, 30.0),
    "hl7.listeners.name": ("second", "second"),
    "hl7.listeners.host": ("0.0.0.0", "0.0.0.0"),
    "hl7.listeners.port": (2576, 2576),
    "hl7.listeners.charset": ("8859/1", "8859/1"),
    "hl7.listeners.override_charset": ("windows-1251", "windows-1251"),
    "hl7.listeners.undecodable": ("replace", "replace"),
    "hl7.listeners.message_types": (["ORM", "ADT^A40"], ["ORM", "ADT^A40"]),
    "hl7.listeners.unserved_types": ("store", "store"),
    "hl7.listeners.acknowledge": ("enhanced", "enhanced"),
    "hl7.listeners.training": ("apply", "apply"),
    "hl7.listeners.without_modality": ("store", "store"),
    "hl7.listeners.conformance": ("reject", "reject"),
    "hl7.listeners.conformance_version": ("2.5", "2.5"),
    "hl7.listeners.sources.training": ("apply", "apply"),
    "hl7.listeners.sources.without_modality": ("store", "store"),
    "hl7.listeners.sources.conformance": ("off", "off"),
    "hl7.listeners.sources.conformance_version": ("2.4", "2.4"),
    "hl7.listeners.tls.certificate": ("ours.pem", Path("ours.pem")),
    "hl7.listeners.tls.key": ("ours.key", Path("ours.key")),
    "hl7.listeners.tls.key_password": ("secret", "secret"),
    "hl7.listeners.tls.client_ca": ("ca.pem", Path("ca.pem")),
    "hl7.listeners.allowed_addresses": (["10.1.0.0/16", "::1"], ["10.1.0.0/16", "::1"]),
    "hl7.listeners.allowed_certificates": (["ris.hospital"], ["ris.hospital"]),
    "hl7.listeners.mllp_release": (2, 2),
    "hl7.listeners.sources.application": ("RIS", "RIS"),
    "hl7.listeners.sources.facility": ("HOSP", "HOSP"),
    "hl7.listeners.sources.charset": ("8859/1", "8859/1"),
    "hl7.listeners.sources.override_charset": ("8859/2", "8859/2"),
    "hl7.listeners.sources.undecodable": ("replace", "replace"),
    "hl7.listeners.sources.message_types": (["ORM"], ["ORM"]),
    "hl7.listeners.sources.unserved_types": ("store", "store"),
    "hl7.listeners.sources.acknowledge": ("enhanced", "enhanced"),
    "hl7.listeners.max_message_bytes": (2048, 2048),
    "hl7.listeners.idle_seconds": (1, 1.0),
    "hl7.listeners.message_seconds": (2.5, 2.5),
    "hl7.listeners.max_connections": (3, 3),
    "hl7.listeners.max_connections_per_address": (2, 2),
    "hl7.listeners.on_failure": ("close", "close"),
    "hl7.listeners.station_aes": (["CT1", "CT 2"], ["CT1", "CT 2"]),
    "hl7.unknown_order": ("reject", "reject"),
    "hl7.patient_data": ("newest", "newest"),
    "hl7.unknown_order_control": ("ignore", "ignore"),
    "dicom.ae_title": ("MWL", "MWL"),
    "dicom.host": ("0.0.0.0", "0.0.0.0"),
    "dicom.port": (104, 104),
    "dicom.check_called_ae": (True, True),
    "dicom.allowed_calling_aes": (["CT1"], ["CT1"]),
    "dicom.peers.ae_title": ("CT1", "CT1"),
    "dicom.peers.allowed_addresses": (["10.0.0.0/8"], ["10.0.0.0/8"]),
    "dicom.peers.allowed_certificates": (["ct1"], ["ct1"]),
    "dicom.peers.services": (["worklist", "mpps"], ["worklist", "mpps"]),
    "dicom.peers.mpps": ("strict", "strict"),
    "dicom.peers.max_associations": (2, 2),
    "dicom.peers.user": ("ct", "ct"),
    "dicom.peers.passcode": ("s3cret", "s3cret"),
    "dicom.destinations.name": ("pacs", "pacs"),
    "dicom.destinations.ae_title": ("PACS", "PACS"),
    "dicom.destinations.host": ("pacs.test", "pacs.test"),
    "dicom.destinations.port": (104, 104),
    "dicom.destinations.calling_ae": ("GATEWAY2", "GATEWAY2"),
    "dicom.destinations.tls.ca": ("ca.pem", Path("ca.pem")),
    "dicom.destinations.tls.certificate": ("ours.pem", Path("ours.pem")),
    "dicom.destinations.tls.key": ("ours.key", Path("ours.key")),
    "dicom.destinations.tls.key_password": ("secret", "secret"),
    "dicom.destinations.mpps": (True, True),
    "dicom.destinations.commitment_reports": (True, True),
    "dicom.destinations.storage_commitment": (True, True),
    "dicom.destinations.commitment_seconds": (60, 60.0),
    "dicom.destinations.ian": (True, True),
    "dicom.destinations.retrieve_ae": ("ARCHIVE", "ARCHIVE"),
    "dicom.destinations.store": (True, True),
    "dicom.destinations.calling_aes": (["CT1"], ["CT1"]),
    "dicom.destinations.modalities": (["CT", "MR"], ["CT", "MR"]),
    "dicom.destinations.sop_classes": (["1.2.840.10008.5.1.4.1.1.2"], ["1.2.840.10008.5.1.4.1.1.2"]),
    "dicom.destinations.corrections": (["patient", "order"], ["patient", "order"]),
    "dicom.destinations.compress": ("jpeg-ls", "jpeg-ls"),
    "dicom.destinations.rate_per_minute": (90, 90.0),
    "dicom.destinations.windows": (["22:00-06:00"], ["22:00-06:00"]),
    "dicom.destinations.priority": ("high", "high"),
    "dicom.destinations.associations": (4, 4),
    "dicom.destinations.timeout_seconds": (5, 5.0),
    "dicom.destinations.idle_seconds": (2, 2.0),
    "dicom.destinations.retry.first_seconds": (1, 1.0),
    "dicom.destinations.retry.max_seconds": (30, 30.0),
    "dicom.commitment_wait_seconds": (30, 30.0),
    "dicom.tls.certificate": ("our.pem", Path("our.pem")),
    "dicom.tls.key": ("our.key", Path("our.key")),
    "dicom.tls.key_password": ("s3cret", "s3cret"),
    "dicom.tls.client_ca": ("ca.pem", Path("ca.pem")),
    "dicom.tls.port": (2763, 2763),
    "dicom.tls.only": (True, True),
    "dicom.storage_classes": (["1.3.12.2.1107.5.9.1"], ["1.3.12.2.1107.5.9.1"]),
    "dicom.max_associations": (7, 7),
    "dicom.max_associations_per_address": (5, 5),
    "dicom.idle_seconds": (60, 60.0),
    "dicom.max_pdu_bytes": (16384, 16384),
    "dicom.max_object_bytes": (2097152, 2097152),
    "dicom.temporary_folder": ("/", Path("/")),
    "dicom.max_worklist_matches": (8, 8),
    "dicom.pn_implicit_wildcard": (True, True),
    "dicom.hidden_states": (["HELD"], ["HELD"]),
    "dicom.started_grace_seconds": (60, 60.0),
    "dicom.warn_of_unknown_keys": (True, True),
    "studies.quiet_seconds": (0, 0.0),
    "studies.longest_wait_seconds": (9, 9.0),
    "studies.quiet_seconds_of": ({"US": 120}, {"US": 120.0}),
    "studies.learnt_quiet.percentile": (99, 99.0),
    "studies.learnt_quiet.least_seconds": (2, 2.0),
    "studies.learnt_quiet.most_seconds": (60, 60.0),
    "studies.storage": ("forward", "forward"),
    "studies.spool.folder": ("/spool", Path("/spool")),
    "studies.spool.quota_gb": (500, 500.0),
    "studies.spool.free_gb": (20, 20.0),
    "studies.spool.keep_hours": (0, 0.0),
    "studies.stow.enabled": (False, False),
    "studies.stow.max_request_gb": (2, 2.0),
    "studies.order_checks.patient_id": ("warn", "warn"),
    "studies.order_checks.birth_date": ("warn", "warn"),
    "studies.order_checks.name": ("hold", "hold"),
    "studies.order_checks.sex": ("off", "off"),
    "studies.order_checks.laterality": ("hold", "hold"),
    "studies.order_checks.modality": ("off", "off"),
    "studies.forward_to.name": ("vna", "vna"),
    "studies.forward_to.url": ("https://vna.test/dicom-web/", "https://vna.test/dicom-web"),
    "studies.forward_to.calling_aes": (["CT1"], ["CT1"]),
    "studies.forward_to.modalities": (["CT"], ["CT"]),
    "studies.forward_to.sop_classes": (["1.2.840.10008.5.1.4.1.1.2"], ["1.2.840.10008.5.1.4.1.1.2"]),
    "studies.forward_to.corrections": (["patient"], ["patient"]),
    "studies.forward_to.compress": ("jpeg-ls", "jpeg-ls"),
    "studies.forward_to.rate_per_minute": (90, 90.0),
    "studies.forward_to.windows": (["22:00-06:00"], ["22:00-06:00"]),
    "studies.forward_to.concurrency": (2, 2),
    "studies.forward_to.timeout_seconds": (5, 5.0),
    "studies.forward_to.retry.first_seconds": (1, 1.0),
    "studies.forward_to.retry.max_seconds": (30, 30.0),
    "studies.forward_to.auth.kind": ("smart", "smart"),
    "studies.forward_to.auth.user": ("gateway", "gateway"),
    "studies.forward_to.auth.password": ("p", "p"),
    "studies.forward_to.auth.token": ("abc", "abc"),
    "studies.forward_to.auth.client_id": ("client", "client"),
    "studies.forward_to.auth.client_secret": ("s", "s"),
    "studies.forward_to.auth.client_authentication": ("client_secret_post", "client_secret_post"),
    "studies.forward_to.auth.token_url": ("https://ehr.test/token", "https://ehr.test/token"),
    "studies.forward_to.auth.scopes": (["system/ImagingStudy.cus"], ["system/ImagingStudy.cus"]),
    "studies.forward_to.auth.keys": (["keys.d"], [Path("keys.d")]),
    "studies.forward_to.auth.key_password": ("k", "k"),
    "studies.forward_to.auth.jwks_url": (
        "https://gw.test/.well-known/jwks.json",
        "https://gw.test/.well-known/jwks.json",
    ),
    "studies.forward_to.tls.ca": ("ca.pem", Path("ca.pem")),
    "studies.forward_to.tls.certificate": ("us.pem", Path("us.pem")),
    "studies.forward_to.tls.key": ("us.key", Path("us.key")),
    "studies.forward_to.tls.key_password": ("q", "q"),
    "studies.forward_to.proxy": ("http://u:p@proxy.test:3128", "http://u:p@proxy.test:3128"),
    "studies.sources.name": ("pacs", "pacs"),
    "studies.sources.kind": ("orthanc", "orthanc"),
    "studies.sources.url": ("https://pacs.test/dicom-web/", "https://pacs.test/dicom-web"),
    "studies.sources.ae_title": ("PACS", "PACS"),
    "studies.sources.host": ("pacs.test", "pacs.test"),
    "studies.sources.port": (104, 104),
    "studies.sources.calling_ae": ("GW", "GW"),
    "studies.sources.headers": ("instance", "instance"),
    "studies.sources.retrieve": ("move", "move"),
    "studies.sources.retrieve_aes": (["CACHE"], ["CACHE"]),
    "studies.sources.enabled": (False, False),
    "studies.sources.every_seconds": (5, 5.0),
    "studies.sources.since": ("2020-01-01", date(2020, 1, 1)),
    "studies.sources.window_days": (7, 7),
    "studies.sources.again_days": (0, 0),
    "studies.sources.page": (50, 50),
    "studies.sources.filters": ({"ModalitiesInStudy": "MG"}, {"ModalitiesInStudy": "MG"}),
    "studies.sources.concurrency": (2, 2),
    "studies.sources.timeout_seconds": (5, 5.0),
    "studies.sources.retry.first_seconds": (1, 1.0),
    "studies.sources.retry.max_seconds": (30, 30.0),
    "studies.sources.auth.kind": ("smart", "smart"),
    "studies.sources.auth.user": ("gateway", "gateway"),
    "studies.sources.auth.password": ("p", "p"),
    "studies.sources.auth.token": ("abc", "abc"),
    "studies.sources.auth.client_id": ("client", "client"),
    "studies.sources.auth.client_secret": ("s", "s"),
    "studies.sources.auth.client_authentication": ("client_secret_post", "client_secret_post"),
    "studies.sources.auth.token_url": ("https://ehr.test/token", "https://ehr.test/token"),
    "studies.sources.auth.scopes": (["system/ImagingStudy.cus"], ["system/ImagingStudy.cus"]),
    "studies.sources.auth.keys": (["keys.d"], [Path("keys.d")]),
    "studies.sources.auth.key_password": ("k", "k"),
    "studies.sources.auth.jwks_url": (
        "https://gw.test/.well-known/jwks.json",
        "https://gw.test/.well-known/jwks.json",
    ),
    "studies.sources.tls.ca": ("ca.pem", Path("ca.pem")),
    "studies.sources.tls.certificate": ("us.pem", Path("us.pem")),
    "studies.sources.tls.key": ("us.key", Path("us.key")),
    "studies.sources.tls.key_password": ("q", "q"),
    "studies.sources.proxy": ("http://u:p@proxy.test:3128", "http://u:p@proxy.test:3128"),
    "ehrs.name": ("ehr-1", "ehr-1"),
    "ehrs.url": ("https://ehr.test/fhir/", "https://ehr.test/fhir"),
    "ehrs.fhir_version": ("R5", "R5"),
    "ehrs.timeout_seconds": (9, 9.0),
    "ehrs.resource": ("DocumentReference", "DocumentReference"),
    "ehrs.patient": ("create", "create"),
    "ehrs.orders": ("find", "find"),
    "ehrs.tasks": ("write", "write"),
    "ehrs.procedures": ("write", "write"),
    "ehrs.audit_events": (False, False),
    "ehrs.concurrency": (10, 10),
    "ehrs.max_requests_per_second": (2.5, 2.5),
    "ehrs.gzip": ("never", "never"),
    "ehrs.instances": (500, 500),
    "ehrs.series": ("none", "none"),
    "ehrs.endpoints": (False, False),
    "ehrs.retry.first_seconds": (0.5, 0.5),
    "ehrs.retry.max_seconds": (5, 5.0),
    "ehrs.write": ("search", "search"),
    "ehrs.duplicates": ("remove", "remove"),
    "ehrs.when_deleted": ("recreate", "recreate"),
    "ehrs.auth.kind": ("smart", "smart"),
    "ehrs.auth.user": ("gateway", "gateway"),
    "ehrs.auth.password": ("p", "p"),
    "ehrs.auth.token": ("abc", "abc"),
    "ehrs.auth.client_id": ("client", "client"),
    "ehrs.auth.client_secret": ("s", "s"),
    "ehrs.auth.client_authentication": ("client_secret_post", "client_secret_post"),
    "ehrs.auth.token_url": ("https://ehr.test/token", "https://ehr.test/token"),
    "ehrs.auth.scopes": (["system/ImagingStudy.cus"], ["system/ImagingStudy.cus"]),
    "ehrs.auth.keys": (["keys.d"], [Path("keys.d")]),
    "ehrs.auth.key_password": ("k", "k"),
    "ehrs.auth.jwks_url": ("https://gw.test/.well-known/jwks.json", "https://gw.test/.well-known/jwks.json"),
    "ehrs.tls.ca": ("ca.pem", Path("ca.pem")),
    "ehrs.tls.certificate": ("us.pem", Path("us.pem")),
    "ehrs.tls.key": ("us.key", Path("us.key")),
    "ehrs.tls.key_password": ("q", "q"),
    "ehrs.proxy": ("http://u:p@proxy.test:3128", "http://u:p@proxy.test:3128"),
    "http.host": ("::1", "::1"),
    "http.port": (0, 0),
    "http.token": ("def", "def"),
    "http.tls.certificate": ("h.pem", Path("h.pem")),
    "http.tls.key": ("h.key", Path("h.key")),
    "http.tls.key_password": ("hp", "hp"),
    "http.tls.client_ca": ("hca.pem", Path("hca.pem")),
    "http.behind_proxy": (["10.2.0.0/16"], ["10.2.0.0/16"]),
    "http.session.idle_minutes": (5, 5.0),
    "http.session.hours": (8, 8.0),
    "http.oidc.issuer": ("https://id.test", "https://id.test"),
    "http.oidc.client_id": ("gw", "gw"),
    "http.oidc.client_secret": ("os", "os"),
    "http.oidc.role_claim": ("groups", "groups"),
    "http.oidc.roles": ({"it": "admin"}, {"it": "admin"}),
    "http.oidc.name_claim": ("email", "email"),
    "http.oidc.scopes": (["openid"], ["openid"]),
    "http.oidc.label": ("Entra", "Entra"),
    "http.oidc.tls.ca": ("oca.pem", Path("oca.pem")),
    "http.oidc.tls.certificate": ("oc.pem", Path("oc.pem")),
    "http.oidc.tls.key": ("oc.key", Path("oc.key")),
    "http.oidc.tls.key_password": ("ok", "ok"),
    "http.max_connections": (9, 9),
    "http.max_connections_per_address": (8, 8),
    "http.head_seconds": (5, 5.0),
    "http.body_seconds": (6, 6.0),
    "worklist.expire_after_days": (2, 2),
    "performed_steps.silent_hours": (8, 8.0),
    "performed_steps.silent_hours_of": ({"US": 4}, {"US": 4.0}),
    "performed_steps.close_silent": (True, True),
    "retention.queries_days": (90, 90),
    "retention.refusals_days": (90, 90),
    "retention.work_days": (180, 180),
    "retention.studies_days": (365, 365),
    "retention.performed_steps_days": (365, 365),
    "retention.orders_days": (730, 730),
    "retention.open_orders_days": (1095, 1095),
    "retention.messages_days": (365, 365),
    "retention.audit_days": (3650, 3650),
    "reconcile.days": (3, 3),
    "reconcile.fix": (True, True),
    "reconcile.hours": ("22:00-05:00", "22:00-05:00"),
    "retention.hours": ("22:00-05:00", "22:00-05:00"),
    "facade.enabled": (True, True),
    "facade.token": ("ghi", "ghi"),
    "facade.url": ("https://gw.test/fhir/", "https://gw.test/fhir"),
    "dicomweb.studies": (True, True),
    "mappings.overlay": ("mappings.d", Path("mappings.d")),
    "log.level": ("debug", "debug"),
    "log.format": ("json", "json"),
    "log.phi": (True, True),
}
INSTEAD = {
    "ehrs.token", "ehrs.auth.token_file",
    "studies.forward_to.token", "studies.forward_to.auth.token_file", "studies.forward_to.folder",
    "studies.sources.token", "studies.sources.auth.token_file",
}  # fmt: skip
"""Keys that cannot be given together with those above; they have tests of their own."""
LISTS = (
    "hl7.listeners",
    "hl7.destinations",
    "hl7.listeners.sources",
    "dicom.peers",
    "dicom.destinations",
    "studies.forward_to",
    "studies.sources",
    "ehrs",
    "audit.repositories",
)


def every_key() -> dict[str, Any]:
    """A configuration in which every key of `VALUES` is set."""
    tree: dict[str, Any] = {
        "hl7": {"listeners": [{"sources": [{}]}], "destinations": [{}]},
        "dicom": {"peers": [{}], "destinations": [{}]},
        "studies": {"forward_to": [{}], "sources": [{}]},
        "ehrs": [{}],
        "audit": {"repositories": [{}]},
    }
    for key, (given, _) in VALUES.items():
        place = _place(tree, key.split(".")[:-1])
        place[key.rsplit(".", 1)[-1]] = given
    return tree


def test_every_key_can_be_set(write: Write) -> None:
    assert set(VALUES) | INSTEAD == set(keys(Config))
    file = write(yaml.safe_dump(every_key()))
    config = load(file).model_dump()
    for key, (_, read) in VALUES.items():
        found = _place(config, key.split(".")[:-1])[key.rsplit(".", 1)[-1]]
        assert found == _rooted(read, file.absolute().parent), key


def _rooted(value: Any, folder: Path) -> Any:
    """What a value reads as in a file of this folder: a relative path is below it."""
    if isinstance(value, list):
        return [_rooted(one, folder) for one in value]
    if isinstance(value, str) and value.startswith("sqlite:///"):
        return f"sqlite:///{folder / value.removeprefix('sqlite:///')}"
    return folder / value if isinstance(value, Path) else value


def _place(tree: dict[str, Any], path: list[str]) -> dict[str, Any]:
    for number, part in enumerate(path, 1):
        tree = tree.setdefault(part, {})
        if ".".join(path[:number]) in LISTS:
            tree = tree[0]  # type: ignore[index]
    return tree


def test_audit_events_go_to_ehrs_of_r4_alone(write: Write) -> None:
    entry = "ehrs:\n- {name: ehr, url: 'http://x', audit_events: true"
    assert load(write(f"{entry}}}")).ehrs[0].audit_events
    with pytest.raises(ConfigError, match=r"audit_events: is done for EHRs of release R4 alone"):
        load(write(f"{entry}, fhir_version: R5}}"))


def test_a_bearer_token_has_a_short_form(write: Write, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n", encoding="utf-8")
    entry = "ehrs:\n- {name: ehr, url: 'http://x', "
    [by_value] = load(write(f"{entry}token: abc}}")).ehrs
    [by_file] = load(write(f"{entry}token_file: {tmp_path}/token}}")).ehrs
    assert by_value.auth == HttpAuth(kind="bearer", token="abc")
    assert by_file.auth == HttpAuth(kind="bearer", token_file=tmp_path / "token")


def test_no_secret_of_an_ehr_is_shown(write: Write) -> None:
    auth = "{kind: basic, user: u, password: hush1, client_secret: hush2, key_password: hush3, token: hush4}"
    rest = f"proxy: 'http://u:hush5@p', tls: {{key_password: hush6}}, auth: {auth}"
    text = f"ehrs:\n- {{name: ehr, url: 'http://x', {rest}}}"
    assert "hush" not in repr(load(write(text)))
    assert "hush" not in "".join(faults(write(text.replace("hush1", "[hush1]").replace("http://u:hush5", "hush5"))))


def test_the_example_is_what_is_built_in(write: Write) -> None:
    assert load(None) == load(write("")) == load(write("site:\nehrs:\n"))
    database = {"database": Database(url=f"sqlite:///{EXAMPLE.parent}/gateway.db")}
    assert load(EXAMPLE) == load(None).model_copy(update=database)


def test_nothing_can_be_changed_afterwards() -> None:
    config = load(None)
    with pytest.raises(Exception, match="frozen"):
        config.dicom.port = 1  # type: ignore[misc]
    with pytest.raises(Exception, match="frozen"):
        config.dicom = config.dicom  # type: ignore[misc]


# Faults

FIVE = """\
site:
  timezone: Mars/Olympus
hl7:
  listeners:
    - name: ris
      prot: 2575
    - name: ris
      port: 70000
dicom:
  ae_title: A_TITLE_THAT_IS_TOO_LONG
ehrs:
  - name: ehr
    url: ftp://ehr.test
http:
  host: 0.0.0.0
  port: -1
nonsense: 1
dicom:
  hidden_states: [CANCELLED]
"""


def test_every_fault_is_told_with_its_line(write: Write) -> None:
    found = faults(write(FIVE))
    wanted = [
        "gateway.yaml:2: site.timezone: unknown time zone 'Mars/Olympus'; use an IANA name such as Europe/Berlin",
        "gateway.yaml:6: hl7.listeners.0.prot: no such key; did you mean 'port'?",
        "gateway.yaml:7: hl7.listeners.1.name: the name ris stands twice",
        "gateway.yaml:8: hl7.listeners.1.port: Input should be less than or equal to 65535 (it is 70000)",
        "gateway.yaml:13: ehrs.0.url: must begin with http:// or https:// and hold no space",
        "gateway.yaml:16: http.port: Input should be greater than or equal to 0 (it is -1)",
        "gateway.yaml:17: nonsense: no such key; known here: site, database, hl7, dicom,",
        "gateway.yaml:18: dicom: stands twice",
        "gateway.yaml:19: dicom.hidden_states.0: is not a state: SCHEDULED, ARRIVED, READY, HELD,",
    ]
    missing = [one for one in wanted if not any(fault.startswith(one) for fault in found)]
    assert (missing, len(found)) == ([], len(wanted)), "\n".join(found)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("site: [\n", "gateway.yaml:2: not valid YAML: expected"),
        ("site:\n\tname: x\n", "gateway.yaml:2: not valid YAML: found character '\\t'"),
        ("site:\n  name: 'x\n", "gateway.yaml:3: not valid YAML: found unexpected end of stream"),
        ("site:\n  name: \x07\n", "gateway.yaml: not valid YAML: the character U+0007 is not allowed"),
        ("site:\n  name: 2024-13-45\n", "gateway.yaml: not valid YAML: month must be in 1..12"),
        ("site: {}\n---\nhttp: {}\n", "gateway.yaml:2: not valid YAML: but found another document"),
        ("site: !!python/object:os.system {}\n", "gateway.yaml:1: not valid YAML: could not determine a constructor"),
        ("site: &a {identifier_systems: *a}\n", "gateway.yaml:1: holds an alias that contains itself"),
        ("- site\n", "gateway.yaml:1: the file must hold keys such as"),
        ("site\n", "gateway.yaml:1: the file must hold keys such as"),
        ("1: 2\n", "gateway.yaml:1: 1: no such key"),
        ("dicom:\n  5: 1\n", "gateway.yaml:1: dicom.5: Keys should be strings"),
        ("site: 5\n", "gateway.yaml:1: site: write keys below it, each on a line of its own (it is 5)"),
        ("hl7:\n  listeners:\n", "gateway.yaml:2: hl7.listeners: write a list: each entry on a line"),
        ("dicom:\n  ae_title: A\\B\n", "gateway.yaml:2: dicom.ae_title: is not an AE title: at most 16 ASCII"),
        ("dicom:\n  storage_classes: [1.02.3]\n", "gateway.yaml:2: dicom.storage_classes.0: '1.02.3' is not a UID"),
        (
            "dicom:\n  storage_classes:\n  - 1.2.3\n  - 1.2.840.10008.5.1.4.1.2.2.1\n",
            "gateway.yaml:4: dicom.storage_classes.1: 1.2.840.10008.5.1.4.1.2.2.1 is Study Root Query",
        ),
        ("hl7:\n  listeners:\n  - station_aes: ['']\n", "gateway.yaml:3: hl7.listeners.0.station_aes.0: is not an AE"),
        ("ehrs:\n- {name: a b, url: http://x}\n", "gateway.yaml:2: ehrs.0.name: is not a name: 1 to 64 letters,"),
        ("dicom:\n  allowed_calling_aes: CT1\n", "gateway.yaml:2: dicom.allowed_calling_aes: write a list: [CT1]"),
        ("site:\n  name: 5\n", "gateway.yaml:2: site.name: write a text, in quotes if it looks like a number"),
        ("ehrs:\n- url: http://x\n", "gateway.yaml:2: ehrs.0.name: Field required"),
        ("site:\n  name: a\n  name: b\n", "gateway.yaml:3: site.name: stands twice"),
        ("site:\n  patient_id_issuer: 'A\\B'\n", "gateway.yaml:2: site.patient_id_issuer: does not fit Issuer"),
        (
            f"site:\n  patient_id_issuer: {'H' * 65}\n",
            "gateway.yaml:2: site.patient_id_issuer: does not fit Issuer of Patient ID (LO): at most 64 characters",
        ),
        ("site:\n  viewer_url: https://x\n", "gateway.yaml:2: site.viewer_url: 'https://x' is no address of a viewer"),
        (
            "ehrs:\n- {name: a, url: http://x, resource: DocumentReference}\n",
            "gateway.yaml:1: ehrs: a: a DocumentReference is a link to a viewer; set site.viewer_url",
        ),
        ("site:\n  uid_root: 1.2.\n", "gateway.yaml:2: site.uid_root: not a UID root of at most 32 characters"),
        ("site:\n  identifier_systems:\n    A: b\n", "gateway.yaml:2: site.identifier_systems: A: 'b' is not a URI"),
        ("database:\n  url: mysql://x\n", "gateway.yaml:2: database.url: must start with sqlite:/// or postgresql://"),
        ("ehrs:\n- {name: a, url: http://x}\n- {name: a, url: http://y}\n", "gateway.yaml:3: ehrs.1.name: the name a"),
        ("studies:\n  quiet_seconds_of: {us: 9}\n", "gateway.yaml:2: studies.quiet_seconds_of.us.[key]: 'us' is no"),
        ("studies:\n  learnt_quiet:\n    percentile: 0.99\n", "gateway.yaml:3: studies.learnt_quiet.percentile: Input"),
        ("studies:\n  learnt_quiet:\n    least_seconds: 400\n", "gateway.yaml:2: studies.learnt_quiet: least_seconds"),
        ("ehrs:\n- {name: a, url: 'http://u:p@x/fhir'}\n", "gateway.yaml:2: ehrs.0.url: holds a user or password"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong(write: Write, text: str, fault: str) -> None:
    (found,) = faults(write(text))
    assert found.startswith(fault)


@pytest.mark.parametrize("hours", [".inf", "1.0e+300", "87601"])
def test_times_that_no_calendar_has_are_faults(write: Write, hours: str) -> None:
    text = f"performed_steps:\n  silent_hours: {hours}\nworklist:\n  expire_after_days: 100000000000\n"
    found = faults(write(text))
    assert "performed_steps.silent_hours: Input should be less than or equal to 87600" in str(found)
    assert "worklist.expire_after_days: Input should be less than or equal to 36500" in str(found)


@pytest.mark.parametrize("seconds", [".inf", ".nan", "-.inf", "1.0e+300", "0"])
def test_a_wait_without_end_is_a_fault_at_its_line(write: Write, seconds: str) -> None:
    text = f"hl7:\n  listeners:\n    - idle_seconds: {seconds}\n"
    (fault,) = faults(write(text))
    assert fault.startswith("gateway.yaml:3: hl7.listeners.0.idle_seconds: Input should be"), fault


@pytest.mark.parametrize(
    ("login", "fault"),
    [
        ("  token: t\n  auth:\n    kind: none\n", "gateway.yaml:4: ehrs.0.token: both token and auth are given"),
        ("  auth:\n    kind: none\n  token_file: t\n", "gateway.yaml:6: ehrs.0.token: both token_file and auth"),
        ("  auth:\n    kind: smart\n", "gateway.yaml:5: ehrs.0.auth.kind: smart needs client_id and keys"),
        ("  auth:\n    kind: bearer\n", "gateway.yaml:5: ehrs.0.auth.kind: bearer needs token or token_file"),
        ("  auth:\n    user: u\n", "gateway.yaml:4: ehrs.0.auth.kind: Field required"),
        (
            "  auth:\n    kind: bearer\n    token: t\n    token_file: t\n",
            "gateway.yaml:6: ehrs.0.auth.token: both",
        ),
    ],
)
def test_a_login_that_is_wrong(write: Write, login: str, fault: str) -> None:
    (found,) = faults(write(f"ehrs:\n- name: a\n  url: http://x\n{login}"))
    assert found.startswith(fault)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert faults(tmp_path / "missing.yaml") == ["gateway.yaml: cannot be read (No such file or directory)"]
    assert faults(tmp_path) == ["gateway.yaml: cannot be read (Is a directory)"]
    path = tmp_path / "latin1.yaml"
    path.write_bytes(b"site:\n  name: M\xfcnchen\n")
    assert faults(path) == ["gateway.yaml: is not UTF-8 (byte 15)"]


def test_a_byte_order_mark_is_no_fault(write: Write) -> None:
    assert load(write("\ufeffsite:\n  name: x\n")).site.name == "x"


def test_names_of_states_are_those_of_the_step() -> None:
    every = [state.value for state in StepState]
    assert list(Config(dicom={"hidden_states": every}).dicom.hidden_states) == every


def test_a_check_is_switched_off_with_or_without_quotes(write: Write) -> None:
    checks = load(write("studies:\n  order_checks: {name: off, sex: 'off'}\n")).studies.order_checks
    assert (checks.name, checks.sex) == (CheckPolicy.OFF, CheckPolicy.OFF)


# The environment


def test_the_environment_goes_before_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("dicom:\n  port: 104\n  ae_title: MWL\nhl7:\n  listeners:\n  - name: a\n  - name: b\n")
    for key, value in {
        "GATEWAY_DICOM__PORT": "11113",
        "GATEWAY_DICOM__ALLOWED_CALLING_AES": '["CT1", "MR1"]',
        "GATEWAY_SITE__IDENTIFIER_SYSTEMS": '{"HOSP": "urn:oid:1.2.3"}',
        "GATEWAY_HL7__LISTENERS": '[{"name": "c", "port": 0}]',
        "GATEWAY_EHRS": '[{"name": "ehr", "url": "http://x", "retry": {"first_seconds": 1}}]',
        "GATEWAY_MAPPINGS__OVERLAY": "here",
        "GATEWAY_LOG": '{"level": "debug"}',
    }.items():
        monkeypatch.setenv(key, value)
    config = load(path)
    assert (config.dicom.port, config.dicom.ae_title) == (11113, "MWL")
    assert config.dicom.allowed_calling_aes == ["CT1", "MR1"]
    assert config.site.identifier_systems == {"HOSP": "urn:oid:1.2.3"}
    assert [one.name for one in config.hl7.listeners] == ["c"]
    assert (config.ehrs[0].url, config.ehrs[0].retry.first_seconds) == ("http://x", 1.0)
    assert config.mappings.overlay == Path("here")
    assert config.log.level == "debug"


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        (
            "GATEWAY_NONSENSE",
            "1",
            "environment GATEWAY_NONSENSE: no such key; the sections are audit, database, dicom,",
        ),
        ("GATEWAY_DICOM__PRT", "1", "environment GATEWAY_DICOM__PRT: dicom.prt: no such key; did you mean 'port'?"),
        ("GATEWAY_DICOM__PORT", "x", "environment GATEWAY_DICOM__PORT: dicom.port: Input should be a valid integer"),
        ("GATEWAY_EHRS", "[{", "environment GATEWAY_EHRS: not valid JSON"),
        ("GATEWAY_HL7__LISTENERS", "[", "environment GATEWAY_HL7__LISTENERS: not valid JSON"),
        ("GATEWAY_HL7__LISTENERS", '[{"port": "x"}]', "environment GATEWAY_HL7__LISTENERS: hl7.listeners.0.port: "),
        ("GATEWAY_DICOM__ALLOWED_CALLING_AES", "CT1", "environment GATEWAY_DICOM__ALLOWED_CALLING_AES: "),
        ("GATEWAY_HTTP__TOKEN_FILE", "/no/file", "environment GATEWAY_HTTP__TOKEN_FILE: http.token: cannot read"),
    ],
)
def test_a_fault_of_the_environment_names_the_variable(
    write: Write, monkeypatch: pytest.MonkeyPatch, key: str, value: str, fault: str
) -> None:
    monkeypatch.setenv(key, value)
    (found,) = faults(write("dicom:\n  port: 104\nhttp:\n  port: 80\n"))
    assert found.startswith(fault)


# Secrets


def test_a_secret_may_be_kept_in_a_file(write: Write, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("  hunter2 \nsecond line\n")
    address = tmp_path / "address"
    address.write_text("postgresql://u:hunter2@h/d\n")
    config = load(
        write(
            f"http: {{host: 0.0.0.0, token_file: {secret}}}\ndatabase: {{url_file: {address}}}\n"
            f"ehrs: [{{name: a, url: http://x, token_file: {secret}}}]\n"
        )
    )
    assert (config.http.token, config.ehrs[0].token) == ("hunter2", "hunter2")
    assert config.database.url == "postgresql://u:hunter2@h/d"


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory"), (b"", "its first line is empty"), (b"\nx", "its first line is empty"),
     (b"\xff\xfe", "not UTF-8")],
)  # fmt: skip
def test_a_secret_that_cannot_be_read(write: Write, tmp_path: Path, content: bytes | None, why: str) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    found = faults(write(f"http:\n  port: 99999\n  token_file: {secret}\n"))
    assert f"gateway.yaml:3: http.token: cannot read a secret from {secret} ({why})" in found
    assert len(found) == 2, "and the other fault of the section"


def test_a_secret_is_given_once(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from the file")
    path = write(f"http:\n  token: plain\n  token_file: {secret}\n")
    assert faults(path) == ["gateway.yaml:2: http.token: both token and token_file are given"]
    assert load(write(f"http:\n  token:\n  token_file: {secret}\n")).http.token == "from the file"
    monkeypatch.setenv("GATEWAY_HTTP__TOKEN", "from the environment")
    assert load(write(f"http:\n  token_file: {secret}\n")).http.token == "from the environment"
    monkeypatch.delenv("GATEWAY_HTTP__TOKEN")
    monkeypatch.setenv("GATEWAY_HTTP__TOKEN_FILE", str(secret))
    assert load(write("http:\n  token: plain\n")).http.token == "from the file"


def test_secrets_are_not_shown() -> None:
    config = Config(
        database=Database(url="postgresql://gateway:hunter2@db/gateway"),
        http=Http(token="hunter2"),
        ehrs=[Ehr(name="a", url="http://x", token="hunter2")],
    )
    assert "hunter2" not in f"{config!r} {config} {config.database} {config.http} {config.ehrs[0]}"


@pytest.mark.parametrize(
    "text",
    [
        "http:\n  token: 8675309\n",
        "ehrs:\n- {name: a, url: http://x, token: 8675309}\n",
        "database:\n  url: 8675309\n",
        "database:\n  url: mysql://u:8675309@h/d\n",
        "database:\n  url: postgresql://u:8675309@h:port/d\n",
        "ehrs:\n- {name: a, url: 'ftp://u:8675309@x'}\n",
    ],
)
def test_a_fault_does_not_quote_a_secret(write: Write, text: str) -> None:
    assert "8675309" not in "".join(faults(write(text)))


# The door


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_no_login_is_asked_for_on_loopback_but_behind_a_proxy(host: str) -> None:
    assert not Http(host=host).is_open
    assert Http(host=host, behind_proxy=["127.0.0.1"]).is_open


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.1.2.3", "gateway.hospital.test"])
def test_a_login_is_asked_for_beyond_loopback(host: str) -> None:
    assert Http(host=host).is_open


def test_an_identity_provider_beyond_this_machine_encrypts(write: Write) -> None:
    text = "http:\n  oidc:\n    client_id: gw\n    issuer: {}\n"
    (found,) = faults(write(text.format("http://id.hospital.test")))
    assert found.startswith("gateway.yaml:4: http.oidc.issuer: must begin with https:// beyond this machine")
    assert load(write(text.format("http://127.0.0.1:9000"))).http.oidc is not None


def test_names_of_listeners_are_unique_in_programs_too() -> None:
    with pytest.raises(ValueError, match="the name ris stands twice"):
        Hl7(listeners=[Listener(), Listener()])


@pytest.mark.parametrize(("folder", "is_refused"), [("spool", True), ("spool/../spool/share", True), ("share", False)])
def test_the_spool_is_no_destination(write: Write, folder: str, is_refused: bool) -> None:
    studies = {"spool": {"folder": "spool"}, "forward_to": [{"name": "share", "folder": folder}]}
    file = write(yaml.safe_dump({"studies": studies}))
    if not is_refused:
        assert load(file).studies.forward_to
        return
    with pytest.raises(ConfigError, match="forward_to share: its folder is in that of the spool"):
        load(file)


@pytest.mark.parametrize("method", ["jpeg", "jpeg2000", "JPEG-LS", "htj2k-lossy"])
def test_a_compression_with_loss_is_refused_with_its_cure(write: Write, method: str) -> None:
    entry = {"name": "share", "folder": "/share", "compress": method}
    file = write(yaml.safe_dump({"studies": {"forward_to": [entry]}}))
    with pytest.raises(ConfigError) as caught:
        load(file)
    [fault] = caught.value.faults
    assert "none of the lossless methods lossless-jpeg2000, htj2k, jpeg-ls, rle, deflate" in fault
    assert "let them, or choose one of these" in fault


@pytest.mark.parametrize(
    ("entry", "cure"),
    [
        ({}, "set either url or folder"),
        ({"url": "https://vna.test", "folder": "/share"}, "set either url or folder"),
        ({"folder": "/share", "token": "secret"}, "a folder has no auth"),
        ({"url": "https://user:secret@vna.test"}, "use auth or token_file"),
        ({"url": "https://vna.test", "auth": {"kind": "smart", "client_id": "x", "keys": ["k"]}}, "needs token_url"),
        ({"url": "https://vna.test", "windows": ["22:00-24:00"]}, "windows"),
        ({"url": "https://vna.test", "name": "pacs"}, "give each its own"),
    ],
)
def test_what_a_destination_of_instances_cannot_be(write: Write, entry: dict[str, Any], cure: str) -> None:
    pacs = {"name": "pacs", "ae_title": "PACS", "port": 104, "ian": True, "retrieve_ae": "PACS"}
    tree = {"dicom": {"destinations": [pacs]}, "studies": {"forward_to": [{"name": "vna", **entry}]}}
    with pytest.raises(ConfigError, match=cure):
        load(write(yaml.safe_dump(tree)))


def test_reports_of_a_title_go_one_way() -> None:
    one = {"host": "127.0.0.1", "port": 104, "commitment_reports": True}
    ways = [
        {**one, "name": "a", "ae_title": "CT1"},
        {**one, "name": "b", "ae_title": "X", "calling_aes": ["CT2", "CT1"]},
    ]
    with pytest.raises(ValueError, match="commitment_reports of CT1 would go to a and to b: list it once"):
        Dicom(port=0, destinations=ways)
    assert Dicom(port=0, destinations=[{**ways[0], "calling_aes": ["CT3"]}, ways[1]])
