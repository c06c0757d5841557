"""The mapping files with the settings of the site."""

from __future__ import annotations

from gateway import mapping
from gateway.config.hl7 import Listener
from gateway.config.tree import Config
from gateway.mapping.orders.functions import Settings
from gateway.mapping.studies.base import FhirSettings


def settings_of(config: Config, listener: Listener) -> Settings:
    return Settings(
        zone=config.site.zone,
        patient_id_issuer=config.site.patient_id_issuer,
        patient_id_types=tuple(config.site.patient_id_types),
        site_name=config.site.name,
        source_name=listener.name,
        station_aes=tuple(listener.station_aes),
    )


def first_listener(config: Config) -> Listener:
    """The listener by whose rules messages are read that belong to none: a file, a listener that is gone."""
    return config.hl7.listeners[0] if config.hl7.listeners else Listener()


def load_mappings(config: Config) -> mapping.Mappings:
    """The mapping files with the site's overlay. Raises `ConfigError`."""
    site = config.site
    fhir = FhirSettings(
        site.zone,
        site.patient_id_issuer,
        site.identifier_systems,
        order_systems=site.order_systems,
        site_name=site.name,
        study_id_system=site.study_id_system,
        wado_rs_url=site.wado_rs_url,
        viewer_url=site.viewer_url,
    )
    return mapping.load(
        settings_of(config, first_listener(config)),
        fhir,
        config.mappings.overlay,
    )
