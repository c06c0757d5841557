"""Section `site`."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from gateway.config.fields import URI, Section


class Site(Section):
    name: str = "Imaging site"
    timezone: str = "UTC"
    """The IANA zone in which HL7 and DICOM times without an offset are meant."""
    uid_root: str = "2.25"
    """Root for the gateway's own implementation class UID; identifiers it derives are UUID-based below 2.25."""
    patient_id_issuer: str = ""
    """Assigning authority of a Patient ID that comes without one."""
    patient_id_types: list[str] = ["MR", "PI", "PT"]
    """Of several identifiers in PID-3: the types (HL7 table 0203) that count, the best first; patient_id_issuer counts
    before them."""
    order_systems: dict[str, str] = {}
    """Assigning authority or sending facility -> FHIR system of its accession, placer and filler numbers."""
    identifier_systems: dict[str, str] = {}
    """Assigning authority -> FHIR identifier system (a URI)."""
    study_id_system: str = ""
    """FHIR identifier system of Study IDs (0020,0010); empty: they are not sent."""
    wado_rs_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """Public WADO-RS base address, without /studies; empty: studies are sent without an Endpoint."""

    viewer_url: str = ""
    """Address of a viewer of a study, with {study_uid} where the Study Instance UID goes."""

    @field_validator("patient_id_issuer")
    @classmethod
    def _issuer_fits(cls, value: str) -> str:
        if not re.fullmatch(r"[^\\\x00-\x1f\x7f]{0,64}", value):
            raise ValueError("does not fit Issuer of Patient ID (LO): at most 64 characters, no backslash or control")
        return value

    @field_validator("viewer_url")
    @classmethod
    def _viewer_names_the_study(cls, value: str) -> str:
        if value and not (re.match(r"https?://\S+$", value) and "{study_uid}" in value):
            raise ValueError(f"{value!r} is no address of a viewer: https://... with {{study_uid}} in it")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"unknown time zone {value!r}; use an IANA name such as Europe/Berlin")
        return value

    @field_validator("uid_root")
    @classmethod
    def _uid_shape(cls, value: str) -> str:
        if not re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", value) or len(value) > 32:
            raise ValueError("not a UID root of at most 32 characters, such as 1.2.840.99999")
        return value

    @field_validator("identifier_systems", "order_systems")
    @classmethod
    def _systems_are_uris(cls, value: dict[str, str]) -> dict[str, str]:
        for authority, system in value.items():
            if not URI.match(system):
                raise ValueError(f"{authority}: {system!r} is not a URI (urn:oid:..., urn:uuid:..., http://...)")
        return value

    @field_validator("study_id_system")
    @classmethod
    def _system_is_a_uri(cls, value: str) -> str:
        if value and not URI.match(value):
            raise ValueError(f"{value!r} is not a URI (urn:oid:..., urn:uuid:..., http://...)")
        return value

    @field_validator("wado_rs_url")
    @classmethod
    def _base_only(cls, value: str) -> str:
        return value.rstrip("/").removesuffix("/studies")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
