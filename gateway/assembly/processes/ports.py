"""The ports of the configuration, opened once for all processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from socket import socket
from typing import Final, NamedTuple

from gateway.assembly.binding import unbindable
from gateway.config.tree import Config
from gateway.errors import ConfigError
from gateway.wire.shared_port import ConnectionCounts, SharedPort, listening_sockets

HTTP: Final = "http"
DICOM: Final = "dicom"
DICOM_TLS: Final = "dicom.tls"


def key_of_listener(name: str) -> str:
    """The key of an HL7 listener."""
    return f"hl7.listeners {name}"


class _Port(NamedTuple):
    key: str
    host: str
    port: int
    counted_as: str
    """Ports of one name share their limits, and are counted together."""


def _ports(config: Config) -> Iterator[_Port]:
    for one in config.hl7.listeners:
        key = key_of_listener(one.name)
        yield _Port(key, one.host, one.port, key)
    dicom = config.dicom
    if dicom.tls is None or not dicom.tls.only:
        yield _Port(DICOM, dicom.host, dicom.port, DICOM)
    if dicom.tls is not None:
        yield _Port(DICOM_TLS, dicom.host, dicom.tls.port, DICOM)
    yield _Port(HTTP, config.http.host, config.http.port, HTTP)


@dataclass(frozen=True, slots=True)
class OpenPorts:
    """Sockets that listen, by the key of the configuration, and who has how many connections of them."""

    sockets: dict[str, Sequence[socket]]
    counted_as: dict[str, int]
    counts: ConnectionCounts

    @classmethod
    def of(cls, config: Config, processes: int) -> OpenPorts:
        """Those of `config`, until `close`. Raises `ConfigError` with every port that cannot be had."""
        ports = list(_ports(config))
        sockets: dict[str, Sequence[socket]] = {}
        faults = []
        for one in ports:
            try:
                sockets[one.key] = listening_sockets(one.host, one.port)
            except OSError as error:
                faults.append(unbindable(one.key, one.host, one.port, error.strerror or str(error)))
                continue
        rows = list(dict.fromkeys(one.counted_as for one in ports))
        counted_as = {one.key: rows.index(one.counted_as) for one in ports}
        opened = cls(sockets, counted_as, ConnectionCounts(len(rows), processes))
        if faults:
            opened.close()
            raise ConfigError(faults)
        return opened

    def close(self) -> None:
        """Let go of the sockets in this process; the others keep theirs."""
        for doors in self.sockets.values():
            for door in doors:
                door.close()

    def seen_by(self, number: int) -> dict[str, SharedPort]:
        """The ports as process `number`, from 1 on, has them."""
        return {
            key: SharedPort(doors, self.counts.of(self.counted_as[key], number - 1))
            for key, doors in self.sockets.items()
        }
