"""What a process of a gateway knows of itself and of the others."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.wire.shared_port import SharedPort

RELOAD_ALONE: Final = signal.SIGUSR1
"""Of the supervisor to a process: reload what another has in force. SIGHUP: reload, and say how it went."""
RELOADS: Final = (signal.SIGHUP, RELOAD_ALONE)


@dataclass(frozen=True, slots=True)
class ProcessPlace:
    """Process `number`, from 1 on, of `of`."""

    number: int = 1
    of: int = 1
    is_first: bool = True
    """The gateway is being started by it; what is done once for all is for it to do."""
    ports: Mapping[str, SharedPort] = field(default_factory=dict)
    """By the key of the configuration. What is not there, the process opens itself."""
    holder: str = ""
    """With it the names of its leases begin, as those of the process that died in its place did."""
    folder: Path | None = None
    """Where the processes reach one another."""
    parent: socket.socket | None = None
    """The connection to the supervisor; when it ends, nobody watches over this process any more."""

    def report(self, **fields: Any) -> None:
        """Send `fields` to the parent. A parent that has ended is noticed where its connection is watched."""
        if self.parent is not None:
            try:
                self.parent.sendall(json.dumps(fields).encode() + b"\n")
            except OSError:
                pass

    def reload_others(self, *, are_in_force: bool) -> None:
        """Let the other processes read the files of the configuration again, where they are in force in this one: a
        fault is found and stated once."""
        self.report(reload=are_in_force)

    def accepts(self, number: int) -> bool:
        """Whether a process has started and not ended: it accepts at every port."""
        return all(port.turns.has(number - 1) for port in self.ports.values())

    def share_of(self, limit: int) -> int:
        """What this process has of a limit of the whole gateway: the shares of all come to it. 0: others have all."""
        return (limit + self.of - self.number) // self.of


ALONE = ProcessPlace()
"""Of a gateway that is one process."""
