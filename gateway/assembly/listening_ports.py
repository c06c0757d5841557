"""The ports of the configuration, and the keys by which messages and processes name them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.config.tree import Config
from gateway.operations.check import ListeningPort

HTTP: Final = "http"
DICOM: Final = "dicom"
DICOM_TLS: Final = "dicom.tls"


def key_of_listener(name: str) -> str:
    """The key of an HL7 listener."""
    return f"hl7.listeners {name}"


def listening_ports(config: Config) -> Iterator[ListeningPort]:
    """Every port that a gateway of `config` listens on."""
    for listener in config.hl7.listeners:
        yield ListeningPort(key_of_listener(listener.name), listener.host, listener.port)
    dicom = config.dicom
    if dicom.tls is None or not dicom.tls.only:
        yield ListeningPort(DICOM, dicom.host, dicom.port)
    if dicom.tls is not None:
        yield ListeningPort(DICOM_TLS, dicom.host, dicom.tls.port)
    yield ListeningPort(HTTP, config.http.host, config.http.port)
