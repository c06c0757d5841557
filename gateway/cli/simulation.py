"""`simulate ris`, `simulate modality`, `simulate ehr`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import typer

from gateway.cli.commands import simulate
from gateway.cli.output import CommandFailure, say
from gateway.errors import GatewayError

Control = Literal["NW", "XO", "CA", "DC", "HD", "RL"]
"""The order control codes that the RIS simulator sends."""


@simulate.command("ris", epilog="Example: gateway simulate ris --count 10")
def simulate_ris(
    host: str = "127.0.0.1",
    port: int = 2575,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many orders")] = 1,
    control: Annotated[Control, typer.Option(help="ORC-1")] = "NW",
    seed: Annotated[int, typer.Option(min=0, max=99999, help="The same seed gives the same orders")] = 1,
    connections: Annotated[int, typer.Option(min=1, max=64)] = 1,
    listen: Annotated[int, typer.Option(help="Send nothing: listen on this port until Ctrl-C; 0 chooses one")] = -1,
    manners: Annotated[
        str, typer.Option(help="How it misbehaves when it listens: a file, or enhanced, lossy, refusing, slow")
    ] = "",
) -> None:
    """Send made-up orders over MLLP and print each acknowledgement; or listen, and print each message that comes."""
    from gateway.simulators import ris

    if listen >= 0:
        _listen(listen, manners)
        return
    orders = list(ris.orders(seed, count, first_day=datetime.now(UTC).date()))
    _send(host, port, orders, control, connections)


def _send(host: str, port: int, orders: list[Any], control: Control, connections: int) -> None:
    """Raises `CommandFailure` unless all are answered AA."""
    from gateway.simulators import ris

    revision = 0 if control == "NW" else 1
    messages = [order.hl7(control, revision=revision) for order in orders]
    codes: list[str] = []

    def answers(index: int, answer: ris.MessageAnswer) -> None:
        order = orders[index]
        codes.append(answer.code)
        say(f"{order.accession_number}  {order.modality}  {answer.code} {answer.text}  {answer.seconds * 1000:.1f} ms")

    lost = ""
    try:
        asyncio.run(ris.send(host, port, messages, concurrency=connections, answered=answers))
    except GatewayError as error:
        lost = f"; then {error}"
    if lost or codes.count("AA") < len(orders):
        raise CommandFailure(f"{codes.count('AA')} of {len(orders)} messages were answered AA{lost}")


def _listen(port: int, manners: str) -> None:
    from gateway.simulators import ris_manners_file
    from gateway.simulators.ris_listener import RisListener
    from gateway.wire.hl7.message import Message

    def show(message: Message, code: str) -> None:
        order = message.first("ORC")
        stated = f"  {order.leaf(1)}/{order.leaf(5)} {order.leaf(2)} {order.leaf(3)}" if order is not None else ""
        say(f"{message.control_id}  {message.type}^{message.trigger}{stated}  {code}")
        sys.stdout.flush()

    async def serve() -> None:
        script = ris_manners_file.load(manners) if manners else None
        stop = _interruption()
        async with RisListener(port, script=script, on_message=show) as receiver:
            say(f"MLLP on 127.0.0.1:{receiver.port}")
            say("In gateway.yaml, under 'hl7:':")
            say(f"  destinations: [{{name: simulator, port: {receiver.port}}}]")
            sys.stdout.flush()
            await stop.wait()
            say(f"{len(receiver.received)} messages received, {len(receiver.accepted)} of them accepted")

    _serve(serve, port)


def _interruption() -> asyncio.Event:
    """Set by SIGTERM or Ctrl-C, from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _serve(serve: Callable[[], Coroutine[Any, Any, None]], port: int) -> None:
    try:
        asyncio.run(serve())
    except OSError as error:
        text = f"cannot listen on 127.0.0.1:{port} ({error.strerror}); choose another port"
        raise CommandFailure(text) from error


@simulate.command("modality", epilog="Example: gateway simulate modality --accession 00001000000")
def simulate_modality(
    host: str = "127.0.0.1",
    port: int = 11112,
    called_ae: str = "GATEWAY",
    calling_ae: str = "SCANNER",
    accession: Annotated[str, typer.Option(help="Only this accession number")] = "",
    modality: Annotated[str, typer.Option(help="Only this modality")] = "",
    date: Annotated[str, typer.Option(help="Only this day, or a range of days: 20300107-20300108")] = "",
    perform: Annotated[bool, typer.Option(help="Do the examinations and send the images")] = True,
    mpps: Annotated[bool, typer.Option("--mpps", help="Begin and end each examination by MPPS")] = False,
    dicomweb: Annotated[str, typer.Option(help="Base URI at which worklist and MPPS are asked over the web")] = "",
    most: Annotated[int, typer.Option(min=1, help="At most this many examinations")] = 1,
) -> None:
    """Ask the worklist, print it, and store a made-up study for each item."""
    keys = {"accession_number": accession, "modality": modality, "date": date}
    scanner = _over_web(dicomweb, calling_ae) if dicomweb else _over_dimse(host, port, called_ae, calling_ae)
    images = {"host": host, "port": port, "called_ae": called_ae, "calling_ae": calling_ae}

    async def work() -> None:
        async with scanner as way:
            items = await way.query(**keys)
            say(f"{len(items)} items")
            for item in items:
                step = item.ScheduledProcedureStepSequence[0]
                start = f"{step.ScheduledProcedureStepStartDate} {step.ScheduledProcedureStepStartTime}"
                say(f"{item.AccessionNumber}  {step.Modality}  {start}  {item.PatientID}")
            for item in items[:most] if perform else ():
                await _examine(way, item, images, mpps=mpps)

    asyncio.run(work())


def _over_web(url: str, ae_title: str) -> AbstractAsyncContextManager[Any]:
    from gateway.simulators import modality_web

    return modality_web.connected(url, ae_title=ae_title)


@asynccontextmanager
async def _over_dimse(host: str, port: int, called_ae: str, calling_ae: str) -> AsyncIterator[Any]:
    from gateway.simulators import modality

    titles = {"called_ae": called_ae, "calling_ae": calling_ae}
    ways = {name: partial(getattr(modality, name), host, port, **titles) for name in ("query", "begin", "end")}
    yield SimpleNamespace(**ways)


async def _examine(way: Any, item: Any, images: Any, *, mpps: bool) -> None:
    from gateway.simulators import modality
    from gateway.simulators.studies import perform

    study = perform(item)
    performed = await way.begin(item) if mpps else ""
    stored = await modality.send(datasets=study, **images)
    say(f"{item.AccessionNumber}: {stored} instances stored as study {item.StudyInstanceUID}")
    if mpps:
        await way.end(performed, study)
        say(f"{item.AccessionNumber}: performed step {performed} completed")


@simulate.command("ehr", epilog="Example: gateway simulate ehr --port 8090 --manners storm")
def simulate_ehr(
    port: Annotated[int, typer.Option(help="0 chooses a free one")] = 8090,
    manners: Annotated[
        str,
        typer.Option(help="How it misbehaves: a file, or lossy, plain, proxy, race, storm, tokens (docs/manners.md)"),
    ] = "",
) -> None:
    """A small FHIR R4 server in memory, until Ctrl-C. Put its address under 'ehrs' to see what the gateway writes."""
    from gateway.simulators import manners_file
    from gateway.simulators.ehr import EhrSimulator

    script = manners_file.load(manners) if manners else None

    async def serve() -> None:
        stop = _interruption()
        async with EhrSimulator(port, script=script) as ehr:
            say(f"FHIR R4 on {ehr.url}")
            say("In gateway.yaml, instead of the line 'ehrs:' that stands there:")
            say(f"ehrs: [{{name: simulator, url: {ehr.url}}}]")
            sys.stdout.flush()
            await stop.wait()
            for line in ehr.answered():
                say(line)

    _serve(serve, port)
