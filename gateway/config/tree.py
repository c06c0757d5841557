"""The whole configuration, and how the file and the environment make it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from gateway.config.audit import AuditSection
from gateway.config.database import Database
from gateway.config.dicom import Dicom
from gateway.config.dicomweb import DicomWebSection
from gateway.config.ehrs import Ehr
from gateway.config.fields import Section, mark_doubled
from gateway.config.hl7 import Hl7
from gateway.config.http import Facade, Http
from gateway.config.performed_steps import PerformedStepsSection
from gateway.config.reconcile import ReconcileSection
from gateway.config.relative_paths import rooted
from gateway.config.retention import RetentionSection
from gateway.config.site import Site
from gateway.config.studies import Studies
from gateway.config.worklist import WorklistSection
from gateway.config.yaml_file import Source, fault, not_json, read
from gateway.errors import ConfigError


class MappingsSection(Section):
    overlay: Path | None = None
    """Directory of a site's own mapping files; each of their rows replaces one of ours."""


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"
    phi: bool = False
    """Write names and identifiers of patients into the log. Off unless someone is looking for a fault."""


class Config(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    site: Site = Site()
    database: Database = Database()
    hl7: Hl7 = Hl7()
    dicom: Dicom = Dicom()
    studies: Studies = Studies()
    ehrs: list[Ehr] = []
    http: Http = Http()
    worklist: WorklistSection = WorklistSection()
    performed_steps: PerformedStepsSection = PerformedStepsSection()
    facade: Facade = Facade()
    dicomweb: DicomWebSection = DicomWebSection()
    audit: AuditSection = AuditSection()
    mappings: MappingsSection = MappingsSection()
    reconcile: ReconcileSection = ReconcileSection()
    retention: RetentionSection = RetentionSection()
    log: Log = Log()

    @property
    def serves_studies(self) -> bool:
        """Whether studies are searched and retrieved over DICOMweb."""
        return not self.http.is_open if self.dicomweb.studies is None else self.dicomweb.studies

    @field_validator("ehrs", mode="before")
    @classmethod
    def _names_are_unique(cls, value: Any) -> Any:
        return mark_doubled(value)

    @field_validator("ehrs")
    @classmethod
    def _a_viewer_is_known(cls, value: list[Ehr], info: ValidationInfo) -> list[Ehr]:
        site = info.data.get("site")
        for ehr in value if site is not None and not site.viewer_url else ():
            if ehr.resource == "DocumentReference":
                raise ValueError(f"{ehr.name}: a DocumentReference is a link to a viewer; set site.viewer_url")
        return value

    @field_validator("studies")
    @classmethod
    def _what_is_sent_is_kept(cls, value: Studies, info: ValidationInfo) -> Studies:
        if value.storage == "forward" or value.spool.folder is not None:
            return value  # after a change back to headers, what is in the spool is still sent
        dicom = info.data.get("dicom")
        for destination in dicom.destinations if dicom is not None else ():
            if destination.store:
                raise ValueError(f"destination {destination.name} gets instances (store): set storage: forward")
        return value

    @field_validator("studies")
    @classmethod
    def _destinations_have_names_of_their_own(cls, value: Studies, info: ValidationInfo) -> Studies:
        dicom = info.data.get("dicom")
        taken = {one.name for one in dicom.destinations} if dicom is not None else set()
        for one in value.forward_to:
            if one.name in taken:
                raise ValueError(f"forward_to {one.name}: dicom.destinations has this name; give each its own")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # To look each key up in an environment without any takes half the time of a check.
        return (env_settings, init_settings) if any(map(_is_ours, os.environ)) else (init_settings,)


def load(path: Path | None = None) -> Config:
    """Read `path` (None: built-in defaults) and the environment. Relative paths of the file mean its folder.

    Raises `ConfigError` with every fault found, each as `file:line: key: what is wrong`.
    """
    faults = _unknown_environment(os.environ)
    source = read(path) if path is not None else Source("(defaults)")
    faults += source.faults
    config: Config | None = None
    try:
        given = _without_overridden(source.data, "GATEWAY_")
        config = Config(**(given if path is None else rooted(given, Config, path.absolute().parent)))
    except ValidationError as error:
        faults += [fault(Config, source, one) for one in error.errors()]
    except SettingsError as error:
        faults.append(not_json(error))
    if config is None or faults:
        raise ConfigError(faults)
    return config


def _without_overridden(data: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The file without secrets that the environment gives in the other form: `token` against `token_file`."""
    given = {key.upper() for key in os.environ}
    kept = {}
    for key, value in data.items():
        other = key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"
        if f"{prefix}{other}".upper() not in given:
            kept[key] = _without_overridden(value, f"{prefix}{key}__") if _is_section(value) else value
    return kept


def _is_ours(name: str) -> bool:
    return name.upper().startswith("GATEWAY_")


def _is_section(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _unknown_environment(environ: Mapping[str, str]) -> list[str]:
    sections = {key.upper() for key in Config.model_fields}
    return [
        f"environment {key}: no such key; the sections are {', '.join(sorted(Config.model_fields))}"
        for key in sorted(environ)
        if key.startswith("GATEWAY_") and key.removeprefix("GATEWAY_").split("__")[0] not in sections
    ]
