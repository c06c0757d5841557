"""The commands. Each is a thin edge: it reads options, calls one function and prints.

What a command needs is imported when it runs: DICOM dictionaries and FHIR models take a second to load, and `--help`
or `parked` need neither.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import orjson
import typer

from gateway.clock import now
from gateway.errors import ConfigError, GatewayError

if TYPE_CHECKING:
    from gateway.config.tree import Config

T = TypeVar("T")
cli = typer.Typer(
    name="gateway",
    help="HL7 orders to DICOM worklists, studies to FHIR: the gateway between RIS, modalities, PACS and EHR.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
simulate = typer.Typer(
    help="Play the other side: a RIS, a modality or an EHR.", no_args_is_help=True, rich_markup_mode=None
)
db = typer.Typer(help="Look after the database.", no_args_is_help=True, rich_markup_mode=None)
cli.add_typer(simulate, name="simulate")
cli.add_typer(db, name="db")

ConfigFile = Annotated[
    Path | None, typer.Option("-c", "--config", help="Configuration file [default: ./gateway.yaml if there is one]")
]
Control = Literal["NW", "XO", "CA", "DC", "HD", "RL"]
"""The order control codes that the RIS simulator sends."""
MOMENTS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs")]

log = logging.getLogger(__name__)


class Failure(Exception):
    """Ends a command with exit code 1 and these lines on standard error."""


def say(text: str = "") -> None:
    typer.echo(text)


def say_json(value: Any) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=_plain).decode())


def _plain(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def configuration(path: Path | None) -> Config:
    """The configuration of a command, and logging as it says."""
    from gateway.config.tree import load
    from gateway.observe import logs

    default = Path("gateway.yaml")
    config = load(path or (default if default.is_file() else None))
    logs.configure(level=config.log.level, form=config.log.format, phi=config.log.phi)
    return config


@cli.command(epilog="Example: gateway run -c gateway.yaml")
def run(config: ConfigFile = None) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    from gateway.assembly import process as app

    settings = configuration(config)

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with app.running(settings) as gateway:
            ports = ", ".join(f"HL7 {name} {port}" for name, port in gateway.hl7_ports.items())
            console = f"http://{settings.http.host}:{gateway.http_port}"
            studies = f", studies {console}{FACADE}" if settings.facade.enabled else ""
            say(f"ready: {ports}, DICOM {gateway.dicom_port}, console {console}/{studies}")
            sys.stdout.flush()
            app.spare_collections()
            await stop.wait()
            log.info("stopping: what is under way is finished or handed back")
        log.info("stopped")

    asyncio.run(serve())


@cli.command(epilog="Example: gateway demo --once")
def demo(
    once: Annotated[bool, typer.Option("--once", help="Play the loop one time and exit")] = False,
) -> None:
    """Play the whole loop with simulators on a temporary SQLite database, and tell it step by step."""
    from gateway.assembly.demo import DemoFailed
    from gateway.assembly.demo import demo as play
    from gateway.observe import logs

    logs.configure(level="warning", form="console", phi=False)
    try:
        asyncio.run(play(say, once=once))
    except DemoFailed as error:
        raise Failure(f"the demo failed: {error}") from error
    except KeyboardInterrupt:
        say("")


@cli.command(epilog="Example: gateway check -c gateway.yaml")
def check(
    config: ConfigFile = None,
    offline: Annotated[bool, typer.Option("--offline", help="Configuration and mappings only")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at configuration, mappings, ports, database and peers; report all faults at once."""
    from gateway.operations.check import check as look

    findings = asyncio.run(look(configuration(config), offline=offline))
    if as_json:
        say_json([{"what": one.what, "ok": one.ok, "warning": one.warning, "detail": one.detail} for one in findings])
    for one in findings if not as_json else ():
        mark = "FAULT" if not one.ok else "note " if one.warning else "ok   "
        typer.echo(f"{mark}  {one.what}: {one.detail}", err=not one.ok)
    if not all(one.ok for one in findings):
        raise typer.Exit(1)


class Release(StrEnum):
    R4 = "R4"
    R5 = "R5"


@cli.command(epilog="Example: gateway explain order.hl7 study/")
def explain(
    files: Annotated[list[Path], typer.Argument(help="HL7 messages, DICOM files or folders", exists=True)],
    config: ConfigFile = None,
    fhir_version: Annotated[Release, typer.Option(help="FHIR release of the resources that studies give")] = Release.R4,
    as_json: AsJson = False,
) -> None:
    """Dry run: what these files would become, each attribute with its source. Nothing is stored or sent."""
    from gateway.operations.explain import explain as dry_run
    from gateway.operations.explain import render

    explanations = dry_run(configuration(config), files, release=fhir_version.value)
    if as_json:
        say_json([one.as_json() for one in explanations])
    else:
        say("\n\n".join(render(one) for one in explanations))
    if any(one.error for one in explanations):
        raise typer.Exit(1)


@cli.command(epilog="Example: gateway show 00042000001")
def show(accession: str, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """The journey of an accession number: order, worklist, study, deliveries."""
    from gateway.operations.journey_of import journey

    found = with_store(configuration(config), lambda store: journey(store, accession))
    if found is None:
        raise Failure(f"no order and no study has the accession number {accession}")
    if as_json:
        say_json(found)
        return
    for event in found["events"]:
        say(f"{event['at']}  {event['station']:<14}  {event['text']}")


@cli.command(epilog="Example: gateway why 00042000001 --station CT1")
def why(
    accession: str,
    station: Annotated[str, typer.Option(help="AE title of the scanner")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Why a scanner does not see an order: what its last query asked for, and what keeps each step off."""
    from gateway.assembly import process as app
    from gateway.operations.why_not_shown import lines

    settings = configuration(config)
    mappings = load_mappings(settings)
    found = with_store(settings, lambda store: why(settings, store, mappings, now, accession, station))
    if found is None:
        raise Failure(f"nothing was ordered under the accession number {accession}")
    if as_json:
        say_json(asdict(found))
        return
    say("\n".join(lines(found, _time)))


@cli.command(name="import-worklist", epilog="Example: gateway import-worklist /var/lib/worklists --sender HOSPITAL")
def import_worklist(
    folder: Annotated[Path, typer.Argument(help="Folder with .wl files, with or without a folder for each AE title")],
    sender: Annotated[
        str, typer.Option(help="Sending facility (MSH-4, else MSH-3) of the RIS whose accession numbers these are")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would become of each file")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take over the worklist files of DCMTK's wlmscpfs or Orthanc as orders. May be repeated; files are only read.

    What the RIS has said of an order stays. Ends with 1 when a file could not be taken; the others are.
    """
    from gateway.assembly import process as app
    from gateway.operations.import_worklist import NOT_TAKEN, Import, files_in, lines

    settings = configuration(config)
    mappings = load_mappings(settings)
    paths = list(files_in(folder))
    counts: Counter[str] = Counter()

    async def work(store: Any) -> list[Any]:
        done = []
        async for taken in Import(settings, store, mappings, now, sender).take(paths, dry_run=dry_run):
            counts[taken.what] += 1
            done.append(asdict(taken))
            if taken.what == NOT_TAKEN:
                typer.echo(f"{taken.file}: {taken.why}", err=True)
            if len(done) % 1000 == 0:
                typer.echo(f"{len(done)} of {len(paths)} files ...", err=True)
        return done

    done = with_store(settings, work, create=True)
    if as_json:
        say_json(done)
    else:
        say("\n".join(lines(counts)))
    if counts[NOT_TAKEN]:
        raise typer.Exit(1)


@cli.command(epilog="Example: gateway parked")
def parked(
    config: ConfigFile = None,
    most: Annotated[int, typer.Option(min=1, help="At most this many deliveries and this many messages")] = 100,
    by_cause: Annotated[bool, typer.Option("--by-cause", help="Deliveries by what stopped them, counted")] = False,
    as_json: AsJson = False,
) -> None:
    """What needs a person: deliveries that were parked and messages that were not applied, each with its cure's id."""
    from gateway.store import messages, outbox
    from gateway.web.console.views import unserved

    if by_cause:
        groups = with_store(configuration(config), lambda store: store.read(outbox_listing.stuck))
        if as_json:
            say_json([asdict(one) for one in groups])
        else:
            _say_causes(groups)
        return

    def unit(connection: Any) -> dict[str, Any]:
        # Rows without payloads are small; there is no cheaper way to know how many there are.
        deliveries = outbox_listing.listing(connection, states=("parked", "rejected"), limit=1_000_000)
        failed = messages.wrong(connection, limit=most)
        return {
            "deliveries": deliveries[:most],
            "more_deliveries": max(0, len(deliveries) - most),
            "messages": failed,
            "more_messages": messages.count_wrong(connection) - len(failed),
            "not_served": messages.unserved(connection),
        }

    found = with_store(configuration(config), lambda store: store.read(unit))
    if as_json:
        say_json(found)
        return
    _say_parked(found["deliveries"], found["more_deliveries"])
    _say_not_applied(found["messages"], found["more_messages"])
    for row in found["not_served"]:
        say(unserved(row))
    if found["deliveries"] or found["messages"]:
        say("Mend the cause, restart the gateway, then: gateway replay ID...")
    elif not found["not_served"]:
        say("Nothing is parked.")


def _say_causes(groups: list[Any]) -> None:
    for one in groups:
        since = f"{_time(one.first_at)} to {_time(one.last_at)}" if len(one.ids) > 1 else _time(one.last_at)
        say(f"{one.cause.key}  {len(one.ids)} x {one.cause.kind}: {one.cause.text}  ({since})")
        say(f"      such as d{one.ids[-1]} of study {one.subject}")
        for issue in (one.outcome or {}).get("issues", ()):
            say(f"      {issue['severity']} {issue['code']}: {issue['text']} {issue['path']}".rstrip())
    say("Mend the cause, then: gateway replay --cause KEY" if groups else "Nothing is parked.")


def _say_parked(deliveries: list[dict[str, Any]], more: int) -> None:
    for row in deliveries:
        outcome = row["outcome"] or {}
        what = f"{row['kind']} of study {row['subject']}"
        say(f"d{row['id']}  {_time(row['finished_at'])}  {what}: {outcome.get('error', '')}")
        for issue in outcome.get("issues", ()):
            say(f"      {issue['severity']} {issue['code']}: {issue['text']} {issue['path']}".rstrip())
    if more:
        say(f"... and {more} more deliveries (--most, --by-cause)")


def _say_not_applied(failed: list[dict[str, Any]], more: int) -> None:
    for row in failed:
        why = "; ".join(f"{one['place']}: {one['text']}".removeprefix(": ") for one in row["findings"])
        what = f"{row['type']} {row['control_id']} answered {row['ack_code']}"
        say(f"m{row['id']}  {_time(row['received_at'])}  {what}: {why}")
    if more:
        say(f"... and {more} more messages (--most)")


@cli.command(epilog="Example: gateway replay d12 m7; gateway replay --dry-run --since 2026-01-23T12:00")
def replay(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="d12: a delivery (12 alone, too); m7: a message; 1.2.840...: a study by its UID"),
    ] = None,
    cause: Annotated[
        list[str] | None, typer.Option(help="All deliveries of a cause that 'gateway parked --by-cause' lists")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="All HL7 messages received from this time on, in the site's zone", formats=MOMENTS),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what messages would change")] = False,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs (--dry-run)")] = False,
) -> None:
    """Send parked deliveries again; work on kept messages or studies again with today's mappings.

    Ends with 1 when any of them could not be; the others are replayed all the same.
    """
    from gateway.assembly import process as app
    from gateway.assembly.http import FACADE
    from gateway.assembly.mappings import load_mappings
    from gateway.assembly.orders import replay_message
    from gateway.assembly.studies import make_arrival
    from gateway.assembly.worklist import why
    from gateway.operations.replay import DryRun
    from gateway.store import messages, outbox

    numbers = [_parse_id(one) for one in ids or ()]
    if not numbers and not cause and since is None:
        raise typer.BadParameter("name what to replay, or give --cause or --since")
    if dry_run and (cause or any(kind != "m" for kind, _ in numbers)):
        raise typer.BadParameter("--dry-run is for messages: m7, or --since")
    settings = configuration(config)
    mappings = load_mappings(settings)

    async def again(store: Any, kind: str, number: Any) -> str:
        if kind == "study":
            count = await make_arrival(settings, store, mappings, now).replay(number)
            return f"{count} instances, due now"
        if kind == "m":
            code = await replay_message(settings, store, mappings, now, number)
            if code == "AA":
                return code
            why = (await store.read(lambda connection: messages.get(connection, number)))["findings"][-1]
            raise Failure(f"m{number}: {code}, {why['place']}: {why['text']}")
        await store.write(lambda connection: outbox_listing.replay(connection, [number], now=now()))
        return "due now"

    async def chosen(store: Any) -> list[tuple[str, Any]]:
        if since is None:
            return numbers
        first = int(since.replace(tzinfo=since.tzinfo or settings.site.zone).timestamp() * 1_000_000)
        return [*numbers, *(("m", one) for one in await store.read(partial(messages.since, first=first)))]

    async def of_cause(store: Any, key: str) -> int:
        done, left = await store.write(partial(outbox_listing.replay_cause, key=key, now=now()))
        say(f"{key}: {len(done)} deliveries, due now")
        for why in left:
            typer.echo(why, err=True)
        return len(left)

    async def each(store: Any) -> int:
        failures = 0
        for key in cause or ():
            try:
                failures += await of_cause(store, key)
            except GatewayError as error:
                failures += 1
                typer.echo(str(error), err=True)
        for kind, number in await chosen(store):
            name = number if kind == "study" else f"{kind}{number}"
            try:
                say(f"{name}: {await again(store, kind, number)}")
            except (GatewayError, Failure) as error:
                failures += 1
                typer.echo(str(error), err=True)
        return failures

    async def tried(store: Any) -> list[Any]:
        wanted = [number for _, number in await chosen(store)]
        found = []
        async for outcome in DryRun(settings, store, mappings, now).outcomes(wanted):
            found.append(outcome)
            if not as_json and (outcome.answers or outcome.changes):
                say("\n".join(outcome.lines()))
        return found

    if not dry_run:
        if with_store(settings, each):
            raise typer.Exit(1)
        return
    outcomes = with_store(settings, tried)
    if as_json:
        say_json([asdict(outcome) for outcome in outcomes])
        return
    count, steps = sum(one.messages for one in outcomes), sum(len(one.changes) for one in outcomes)
    answers = sum(len(one.answers) for one in outcomes)
    say(f"{count} messages: {steps} steps and {answers} answers would differ. Nothing was changed.")


@cli.command(epilog="Example: gateway withdraw 1.2.840.113619.2.55")
def withdraw(
    studies: Annotated[list[str], typer.Argument(help="Study Instance UIDs")],
    undo: Annotated[bool, typer.Option("--undo", help="They are what they claim to be after all")] = False,
    config: ConfigFile = None,
) -> None:
    """Tell EHRs that studies were entered in error: another patient's images, a test. They keep their identifier.

    Nothing is deleted here. Images that arrive later do not undo it.
    """
    from gateway.store import outbox, outbox_listing
    from gateway.store import studies as rows

    def unit(connection: Any, uid: str) -> bool:
        changed = rows.withdraw(connection, uid, at=None if undo else now())
        if changed:
            outbox.settle_at(connection, uid, due_at=now(), now=now())
        return changed

    async def each(store: Any) -> int:
        failures = 0
        for uid in studies:
            try:
                changed = await store.write(partial(unit, uid=uid))
                what = "counts again" if undo else "withdrawn"
                say(f"{uid}: {what + ', EHRs are told' if changed else 'was so already'}")
            except GatewayError as error:
                failures += 1
                typer.echo(str(error), err=True)
        return failures

    if with_store(configuration(config), each):
        raise typer.Exit(1)


def _parse_id(written: str) -> tuple[str, Any]:
    if "." in written:
        return "study", written
    kind, digits = (written[0], written[1:]) if written[:1] in ("d", "m") else ("d", written)
    if not digits.isdigit():
        raise typer.BadParameter(
            f"{written!r} is not an id such as d12, m7 or a Study Instance UID; 'gateway parked' lists what waits"
        )
    return kind, int(digits)


@db.command(epilog="Example: gateway db upgrade -c gateway.yaml")
def upgrade(config: ConfigFile = None) -> None:
    """Bring the database's tables to this program's version. Make a backup first."""
    from sqlalchemy.exc import DBAPIError

    from gateway.store import migrations
    from gateway.store.engine import open_engine
    from gateway.store.writer import reason_of

    engine = open_engine(configuration(config).database.url)
    try:
        before, after = migrations.upgrade(engine)
    except DBAPIError as error:
        raise Failure(f"the database refuses: {reason_of(error)}") from error
    finally:
        engine.dispose()
    say(f"schema {before or '(none)'} -> {after}" if before != after else f"schema {after}: nothing to do")


@simulate.command("ris", epilog="Example: gateway simulate ris --count 10")
def simulate_ris(
    host: str = "127.0.0.1",
    port: int = 2575,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many orders")] = 1,
    control: Annotated[Control, typer.Option(help="ORC-1")] = "NW",
    seed: Annotated[int, typer.Option(min=0, max=99999, help="The same seed gives the same orders")] = 1,
    connections: Annotated[int, typer.Option(min=1, max=64)] = 1,
) -> None:
    """Send made-up orders over MLLP and print each acknowledgement."""
    from gateway.simulators import ris

    orders = list(ris.orders(seed, count, first_day=datetime.now(UTC).date()))
    revision = 0 if control == "NW" else 1
    messages = [one.hl7(control, revision=revision) for one in orders]
    codes: list[str] = []

    def heard(index: int, answer: ris.Answer) -> None:
        order = orders[index]
        codes.append(answer.code)
        say(f"{order.accession}  {order.modality}  {answer.code} {answer.text}  {answer.seconds * 1000:.1f} ms")

    lost = ""
    try:
        asyncio.run(ris.send(host, port, messages, concurrency=connections, heard=heard))
    except GatewayError as error:
        lost = f"; then {error}"
    if lost or codes.count("AA") < count:
        raise Failure(f"{codes.count('AA')} of {count} messages were answered AA{lost}")


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
    most: Annotated[int, typer.Option(min=1, help="At most this many examinations")] = 1,
) -> None:
    """Ask the worklist, print it, and store a made-up study for each item."""
    from gateway.simulators import modality as scanner
    from gateway.simulators.studies import perform as do

    async def work() -> None:
        items = await scanner.query(
            host, port, called_ae=called_ae, calling_ae=calling_ae, accession=accession, modality=modality, date=date
        )
        say(f"{len(items)} items")
        for item in items:
            step = item.ScheduledProcedureStepSequence[0]
            start = f"{step.ScheduledProcedureStepStartDate} {step.ScheduledProcedureStepStartTime}"
            say(f"{item.AccessionNumber}  {step.Modality}  {start}  {item.PatientID}")
        for item in items[:most] if perform else ():
            stored = await scanner.send(host, port, do(item), called_ae=called_ae, calling_ae=calling_ae)
            say(f"{item.AccessionNumber}: {stored} instances stored as study {item.StudyInstanceUID}")

    asyncio.run(work())


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
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with EhrSimulator(port, script=script) as ehr:
            say(f"FHIR R4 on {ehr.url}")
            say("In gateway.yaml, instead of the line 'ehrs:' that stands there:")
            say(f"ehrs: [{{name: simulator, url: {ehr.url}}}]")
            sys.stdout.flush()
            await stop.wait()
            for line in ehr.told():
                say(line)

    try:
        asyncio.run(serve())
    except OSError as error:
        raise Failure(f"cannot listen on 127.0.0.1:{port} ({error.strerror}); choose another with --port") from error


def with_store(config: Config, work: Callable[[Any], Awaitable[T]], *, create: bool = False) -> T:
    """Open the store, do `work`, close it. `create`: make a new one where there is none."""
    from gateway.store import Store
    from gateway.store.engine import sqlite_file

    file = sqlite_file(config.database.url)
    if file is not None and not file.exists() and not create:
        raise Failure(f"there is no database {file.absolute()}; name the gateway's configuration with -c")

    async def inside() -> T:
        store = await Store.open(config.database.url)
        try:
            return await work(store)
        finally:
            await store.close()

    coroutine: Coroutine[Any, Any, T] = inside()
    return asyncio.run(coroutine)


def _time(micros: int | None) -> str:
    return datetime.fromtimestamp((micros or 0) / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def main() -> None:
    """Entry point: faults go to standard error with exit code 1, wrong usage with 2."""
    try:
        cli()
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        sys.exit(1)
    except (GatewayError, Failure) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
