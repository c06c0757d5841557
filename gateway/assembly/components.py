"""The state of each part of a gateway that serves, as pages and health checks show it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.assembly.listening_ports import DICOM, DICOM_TLS, HTTP, key_of_listener
from gateway.assembly.processes.neighbours import Neighbours
from gateway.operations.state.components import Component
from gateway.wire.dimse import DimseServer
from gateway.wire.hl7.mllp_server import MllpServer
from gateway.work.clock_watch import ClockWatch


async def components(
    listeners: Mapping[str, MllpServer],
    dicom: DimseServer,
    working: asyncio.Task[None],
    jumps: ClockWatch,
    neighbours: Neighbours,
) -> dict[str, Component]:
    """Of a gateway of several processes: the connections of all of them, and how many serve."""
    shared = {key: port.turns for key, port in neighbours.place.ports.items()}

    def connections(key: str, own: int) -> int:
        return shared[key].total if key in shared else own

    states = {
        f"hl7 {name}": Component(
            True, f"port {server.port}, {connections(key_of_listener(name), server.connections)} connections"
        )
        for name, server in listeners.items()
    }
    of_dicom = shared.get(DICOM) or shared.get(DICOM_TLS)
    used = f"{dicom.associations} associations" if of_dicom is None else f"{of_dicom.total} connections"
    states["dicom"] = Component(True, f"port {dicom.port}, {used}")
    states["worker"] = Component(not working.done(), "stopped" if working.done() else "working")
    states["clock"] = Component(True, jumps.shown())
    if HTTP in shared:
        states["processes"] = await _processes(neighbours, shared[HTTP].present)
    return states


async def _processes(neighbours: Neighbours, present: int) -> Component:
    await neighbours.look()
    place, silent = neighbours.place, neighbours.silent
    serving = present - len(silent)
    hang = "".join(f"; process {number} does not answer" for number in sorted(silent))
    return Component(
        True, f"{serving} of {place.of} serve; process {place.number} answers{hang}", is_whole=serving == place.of
    )
