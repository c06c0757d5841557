"""The ports of a gateway, opened once for all its processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from socket import socket
from typing import Final

from gateway.assembly.binding import unbindable
from gateway.assembly.listening_ports import DICOM, DICOM_TLS, listening_ports
from gateway.config.tree import Config
from gateway.errors import ConfigError
from gateway.wire.shared_port import ConnectionCounts, SharedPort, listening_sockets

_COUNTED_WITH: Final = {DICOM_TLS: DICOM}
"""Ports of one server share its limits, and are counted together."""


@dataclass(frozen=True, slots=True)
class OpenPorts:
    """Sockets that listen, by the key of the configuration, and who has how many connections of them."""

    sockets: dict[str, Sequence[socket]]
    counted_as: dict[str, int]
    counts: ConnectionCounts

    @classmethod
    def of(cls, config: Config, processes: int) -> OpenPorts:
        """Those of `config`, until `close`. Raises `ConfigError` with every port that cannot be had."""
        ports = list(listening_ports(config))
        sockets: dict[str, Sequence[socket]] = {}
        faults = []
        for one in ports:
            try:
                sockets[one.key] = listening_sockets(one.host, one.port)
            except OSError as error:
                faults.append(unbindable(one.key, one.host, one.port, error.strerror or str(error)))
        servers = {one.key: _COUNTED_WITH.get(one.key, one.key) for one in ports}
        rows = list(dict.fromkeys(servers.values()))
        counted_as = {key: rows.index(server) for key, server in servers.items()}
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
