"""What the state of the gateway is read from: the configuration, and the parts that run."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.assembly.audit import destinations_of
from gateway.assembly.http import VERSION
from gateway.assembly.listening_ports import key_of_listener
from gateway.assembly.receivers import receivers_of
from gateway.clock import Clock
from gateway.config.tree import Config
from gateway.operations.state.sources import (
    CertificateFile,
    Folder,
    Process,
    Setup,
    Silence,
    Sources,
)
from gateway.records.work import WorkKind
from gateway.store import Store
from gateway.store.engine import sqlite_file
from gateway.work.breaker import Breaker
from gateway.work.handling import Handling


def sources_of(config: Config, clock: Clock, process: Process | None = None) -> Sources:
    """All that the state of a gateway with this configuration is read from."""
    return Sources(setup_of(config), process, VERSION, clock)


def setup_of(config: Config) -> Setup:
    """What is configured."""
    peers = (*config.dicom.allowed_calling_aes, *(peer.ae_title for peer in config.dicom.peers))
    return Setup(
        listeners=tuple(listener.name for listener in config.hl7.listeners),
        scanners=tuple(dict.fromkeys(peers)),
        receivers=receivers_of(config),
        folders=tuple(_folders(config)),
        certificates=tuple(_certificates(config)),
        repositories=destinations_of(config),
        has_ages=bool(config.retention.ages.days),
    )


def _folders(config: Config) -> Iterator[Folder]:
    if (file := sqlite_file(config.database.url)) is not None:
        yield Folder("database", file.absolute().parent)
    yield Folder("dicom.temporary_folder", config.dicom.temporary_folder or Path(tempfile.gettempdir()))
    if config.studies.spool.folder is not None:
        yield Folder("studies.spool.folder", config.studies.spool.folder)
    if (log := _log_file()) is not None:
        yield Folder("log", log)


def _log_file() -> Path | None:
    """Where standard error goes, if it goes to a file; known on Linux alone."""
    try:
        target = Path(f"/proc/self/fd/{sys.stderr.fileno()}")
        return target.resolve() if stat.S_ISREG(os.fstat(sys.stderr.fileno()).st_mode) else None
    except (OSError, ValueError):
        return None


def _certificates(config: Config) -> Iterator[CertificateFile]:
    for listener in config.hl7.listeners:
        if listener.tls is not None:
            yield from _of_tls(key_of_listener(listener.name), listener.tls.certificate, listener.tls.client_ca)
    if (tls := config.dicom.tls) is not None:
        yield from _of_tls("dicom", tls.certificate, tls.client_ca)
    if config.http.tls is not None:
        yield from _of_tls("http", config.http.tls.certificate, config.http.tls.client_ca)
    called = [("hl7.destinations", one.name, one.tls) for one in config.hl7.destinations]
    called += [("dicom.destinations", one.name, one.tls) for one in config.dicom.destinations]
    called += [("studies.forward_to", one.name, one.tls) for one in config.studies.forward_to]
    called += [("studies.sources", one.name, one.tls) for one in config.studies.sources]
    called += [("ehrs", one.name, one.tls) for one in config.ehrs]
    called += [("audit.repositories", one.name, one.tls) for one in config.audit.repositories]
    for section, name, client in called:
        if client is not None:
            yield from _of_tls(f"{section} {name}", client.certificate, client.ca)


def _of_tls(place: str, certificate: Path | None, authority: Path | None) -> Iterator[CertificateFile]:
    if certificate is not None:
        yield CertificateFile(f"{place} certificate", certificate)
    if authority is not None:
        yield CertificateFile(f"{place} authority", authority, is_authority=True)


def silences_of(kinds: Mapping[WorkKind, Handling], store: Store) -> dict[WorkKind, Silence]:
    """How the receivers of `kinds` answer; moments by the wall clock."""

    def shown(moment: int | None) -> int | None:
        return None if moment is None else store.steady.shown(moment)

    return {
        kind: Silence(shown(handling.gate.answered_at), shown(handling.gate.away_since))
        for kind, handling in kinds.items()
        if isinstance(handling.gate, Breaker)
    }
