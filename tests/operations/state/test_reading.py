"""The state over a real database, part by part."""

from __future__ import annotations

from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from gateway.errors import Fate
from gateway.operations.state.components import Component
from gateway.operations.state.part import Kind, Level, Part, State
from gateway.operations.state.reading import state_of
from gateway.operations.state.sources import (
    CertificateFile,
    Folder,
    Loaded,
    Process,
    Refused,
    Setup,
    Silence,
    Sources,
)
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.receiver import Receiver, ReceiverType
from gateway.records.windows import Windows
from gateway.records.work import Lane, delivery_to, images_to
from gateway.store import Store, backups, outbox, outbox_claims, refusals, scanner_queries
from gateway.store.scanner_queries import ScannerQuery
from gateway.store.schema import pauses
from tests.conftest import Time
from tests.web.served import add_delivery, add_message, add_refusal

MAIN = Receiver("main", ReceiverType.EHR)
SETUP = Setup(listeners=("ris", "other"), scanners=("CT1",), receivers=(MAIN,))
SECOND = 1_000_000
HOUR = 3600 * SECOND


def process_of(changed: dict[str, Component] | None = None, **facts: Any) -> Process:
    async def components() -> dict[str, Component]:
        names = ("hl7 ris", "hl7 other", "dicom", "worker", "clock")
        return {name: Component(True, f"{name} works") for name in names} | (changed or {})

    return Process(components, **{name: partial(lambda value: value, fact) for name, fact in facts.items()})


async def read(store: Store, clock: Time, process: Process | None = None, setup: Setup = SETUP) -> State:
    return await state_of(store, Sources(setup, process or process_of(), "1.2.3", clock))


def part(state: State, kind: Kind, name: str = "") -> Part:
    [found] = [one for one in state.parts if (one.kind, one.name) == (kind, name)]
    return found


def fact(one: Part, name: str) -> int | str | None:
    return next((each.value for each in one.facts if each.name == name), None)


async def test_all_is_good_where_nothing_has_happened(store: Store, clock: Time) -> None:
    state = await read(store, clock)
    assert state.level is Level.GOOD, state.calling()
    assert [(one.kind.value, one.name) for one in state.parts] == [
        ("database", "reading"), ("database", "writing"), ("listener", "ris"), ("listener", "other"), ("dicom", ""),
        ("scanner", "CT1"), ("examinations", ""), ("receiver", "main"), ("worker", ""), ("clock", ""), ("backup", ""),
        ("retention", ""),
    ]  # fmt: skip
    assert part(state, Kind.RECEIVER, "main").detail == "nothing waits"
    assert part(state, Kind.BACKUP).detail.startswith("none was made")


async def test_a_listener_counts_what_came_and_what_was_not_applied(store: Store, clock: Time) -> None:
    def fill(connection: Connection) -> None:
        add_message(connection, at=clock.now - 30 * HOUR, state="rejected")
        add_message(connection, at=clock.now - 2 * HOUR, state="failed")
        add_message(connection, at=clock.now - HOUR // 2)
        add_message(connection, at=clock.now - HOUR // 3, state="rejected", unserved=True)

    await store.write(fill)
    ris = part(await read(store, clock), Kind.LISTENER, "ris")
    assert (ris.level, ris.detail) == (Level.BAD, "hl7 ris works; 1 message of the last day was not applied")
    assert fact(ris, "messages in the last hour") == 2
    assert fact(ris, "last message") == clock.now - HOUR // 3
    assert ris.page == "/messages"
    assert part(await read(store, clock), Kind.LISTENER, "other").level is Level.GOOD


async def test_what_arrived_unreadable_is_a_warning_for_a_day(store: Store, clock: Time) -> None:
    await store.write(add_refusal)
    assert (await read(store, clock)).level is Level.GOOD, "long ago"
    await store.write(lambda c: refusals.add(c, refused_at=clock.now, source="ris 10.0.0.1", reason="cut", body=b""))
    unreadable = part(await read(store, clock), Kind.LISTENER, "unreadable")
    assert (unreadable.level, unreadable.detail) == (Level.WARN, "1 arrival of the last day could not be read")


async def test_a_scanner_that_was_refused_since_it_asked_last_is_named_with_the_reason(
    store: Store, clock: Time
) -> None:
    asked = ScannerQuery(clock.now - HOUR, "CT1", "10.0.0.7", {}, 0, [], 9)
    await store.write(partial(scanner_queries.log, asked=[asked]))
    scanner = part(await read(store, clock), Kind.SCANNER, "CT1")
    assert (scanner.level, scanner.detail) == (Level.GOOD, "asks for its worklist")
    refused = Refused("CT1", "10.0.0.7", "the address is not the scanner's", clock.now - HOUR // 2)
    scanner = part(await read(store, clock, process_of(refused=[refused])), Kind.SCANNER, "CT1")
    assert (scanner.level, fact(scanner, "why")) == (Level.WARN, "the address is not the scanner's")
    assert scanner.page == "/worklist?scanner=CT1"
    stranger = Refused("PROBE", "10.9.9.9", "is not on the list", clock.now)
    state = await read(store, clock, process_of(refused=[stranger]))
    assert state.level is Level.GOOD, "whoever scans the network"
    assert fact(part(state, Kind.DICOM), "of") == "PROBE 10.9.9.9"


async def test_a_refusal_of_a_process_before_this_is_shown_as_well(store: Store, clock: Time) -> None:
    await store.write(
        lambda c: refusals.add(c, refused_at=clock.now, source="CT1 x", reason="no", body=b"", calling_ae="CT1")
    )
    assert part(await read(store, clock), Kind.SCANNER, "CT1").level is Level.WARN


async def test_an_outage_is_bad_by_its_age_whatever_number_waits(store: Store, clock: Time) -> None:
    away = {"error": "HTTP 503", "place": "http://ehr"}
    begun = clock.now
    await store.write(lambda c: add_delivery(c, at=begun, kind="ehr:main", fate=Fate.RETRY, outcome=away))
    silence = {delivery_to("main"): Silence(answered_at=begun - HOUR, away_since=begun)}
    clock.pass_seconds(60)
    main = part(await read(store, clock, process_of(silences=silence)), Kind.RECEIVER, "main")
    assert (main.level, main.detail) == (Level.WARN, "has not answered for less than 5 minutes; 1 waits")
    clock.pass_seconds(300)
    main = part(await read(store, clock, process_of(silences=silence)), Kind.RECEIVER, "main")
    assert (main.level, main.detail, main.page) == (Level.BAD, "does not answer; 1 waits", "/deliveries")
    assert (fact(main, "away since"), fact(main, "oldest"), fact(main, "cause")) == (begun, begun, "HTTP 503")
    assert fact(main, "last answer") == begun - HOUR
    # A process that has begun meanwhile, and a command beside none, go by what has waited.
    fresh = {delivery_to("main"): Silence(away_since=clock.now)}
    assert part(await read(store, clock, process_of(silences=fresh)), Kind.RECEIVER, "main").level is Level.BAD
    sources = Sources(SETUP, None, "1.2.3", clock)
    assert part(await state_of(store, sources), Kind.RECEIVER, "main").level is Level.BAD


async def test_what_waited_for_hours_before_its_first_try_has_not_been_away_for_so_long(
    store: Store, clock: Time
) -> None:
    kind = delivery_to("main")

    def fill(connection: Connection) -> None:
        lane = Lane(kind, StudyInstanceUID("1.2.3"))
        outbox.enqueue(connection, lane=lane, payload={}, due_at=clock.now - 7 * HOUR, now=clock.now - 7 * HOUR)
        [work] = outbox_claims.claim(connection, kind=kind, now=clock.now, lease_micros=SECOND, limit=1)
        away = {"error": "HTTP 503", "place": "http://ehr"}
        outbox_claims.fail(connection, work, Fate.RETRY, now=clock.now, due_at=clock.now + HOUR, outcome=away)

    await store.write(fill)
    silence = {kind: Silence(away_since=clock.now)}
    for seconds, level in ((60, Level.WARN), (300, Level.BAD)):
        clock.pass_seconds(seconds)
        assert part(await read(store, clock, process_of(silences=silence)), Kind.RECEIVER, "main").level is level


async def test_work_that_is_tried_again_at_a_receiver_that_answers_is_a_warning(store: Store, clock: Time) -> None:
    await store.write(
        lambda c: add_delivery(c, at=clock.now, kind="ehr:main", fate=Fate.RETRY, outcome={"error": "HTTP 500"})
    )
    silence = {delivery_to("main"): Silence(answered_at=clock.now)}
    clock.pass_seconds(301)
    main = part(await read(store, clock, process_of(silences=silence)), Kind.RECEIVER, "main")
    assert (main.level, main.detail) == (Level.WARN, "answers, and something is tried again and again; 1 waits")


async def test_what_is_parked_or_paused_calls_for_a_person(store: Store, clock: Time) -> None:
    def fill(connection: Connection) -> None:
        add_delivery(connection, at=clock.now, kind="ehr:main", fate=Fate.PARK, outcome={"error": "HTTP 422"})
        add_delivery(connection, at=clock.now, kind="settle", fate=Fate.REJECT, outcome={"error": "no"})

    await store.write(fill)
    state = await read(store, clock)
    main, worker = part(state, Kind.RECEIVER, "main"), part(state, Kind.WORKER)
    assert (main.level, main.detail, fact(main, "cause")) == (Level.BAD, "1 waits for a person", "HTTP 422")
    assert (worker.level, worker.detail) == (Level.BAD, "worker works; 1 waits for a person")
    row = {"receiver": "main", "since": clock.now, "person": "anna", "note": ""}
    await store.write(lambda c: c.execute(insert(pauses), row))
    main = part(await read(store, clock), Kind.RECEIVER, "main")
    assert (main.level, fact(main, "paused since")) == (Level.WARN, clock.now)


async def test_a_component_that_is_not_well_is_bad(store: Store, clock: Time) -> None:
    state = await read(store, clock, process_of({"worker": Component(False, "stopped")}))
    assert (part(state, Kind.WORKER).level, part(state, Kind.WORKER).detail) == (Level.BAD, "stopped")
    assert [one.kind for one in state.calling()] == [Kind.WORKER]


async def test_a_backup_is_missed_where_backups_are_made(store: Store, clock: Time) -> None:
    await store.write(lambda c: backups.add(c, file=Path("copy.db"), bytes=9, now=clock.now))
    assert part(await read(store, clock), Kind.BACKUP).level is Level.GOOD
    clock.pass_seconds(3 * 86_400)
    assert part(await read(store, clock), Kind.BACKUP).detail == "the last is 3 days old"


async def test_a_configuration_that_could_not_be_reloaded_is_bad(store: Store, clock: Time) -> None:
    loaded = Loaded(clock.now, ["gateway.yaml:3: hl7: no such key"], clock.now)
    state = await read(store, clock, process_of(loaded=loaded))
    assert part(state, Kind.CONFIGURATION).level is Level.BAD
    assert "gateway.yaml:3" in part(state, Kind.CONFIGURATION).detail


async def test_folders_and_certificates_are_looked_at(store: Store, clock: Time, tmp_path: Path) -> None:
    setup = Setup(
        folders=(Folder("spool", tmp_path / "gone"),), certificates=(CertificateFile("dicom certificate", tmp_path),)
    )
    state = await read(store, clock, setup=setup)
    assert part(state, Kind.DISK, "spool").level is Level.BAD
    assert "cannot be read" in part(state, Kind.CERTIFICATE, "dicom certificate").detail


async def test_without_a_database_the_other_parts_are_there(store: Store, clock: Time) -> None:
    store.engine.dispose()
    await store.close()
    state = await read(store, clock)
    assert part(state, Kind.DATABASE, "reading").level is Level.BAD
    assert part(state, Kind.DICOM).detail == "dicom works"
    assert {"hl7 ris", "hl7 other"} <= {one.name for one in state.parts}


async def test_what_waits_for_its_hour_alone_is_neither_an_outage_nor_a_fault(store: Store, clock: Time) -> None:
    hours = Windows.of(["22:00-06:00"], UTC)
    setup = Setup(receivers=(Receiver("pacs", ReceiverType.DICOM, hours),))
    noon = clock.now - clock.now % (24 * HOUR) + 12 * HOUR
    clock.now = noon
    silence = {images_to("pacs"): Silence(answered_at=noon - 9 * HOUR, away_since=noon - 8 * HOUR)}
    process = process_of(silences=silence)
    away = {"error": "no answer", "place": "pacs"}
    await store.write(lambda c: add_delivery(c, at=noon, kind="store:pacs", fate=Fate.RETRY, outcome=away))
    pacs = part(await read(store, clock, process, setup), Kind.RECEIVER, "pacs")
    assert (pacs.level, pacs.detail) == (Level.GOOD, "waits for its window until 22:00; 1 waits")
    assert {one.name: one.value for one in pacs.facts}["next try"] == noon + 10 * HOUR
    clock.now = noon + 10 * HOUR
    assert part(await read(store, clock, process, setup), Kind.RECEIVER, "pacs").level is Level.BAD
    clock.now = noon
    add = partial(add_delivery, at=noon, study_uid="1.2.4", kind="store:pacs", fate=Fate.PARK, outcome=away)
    await store.write(lambda c: add(c))
    assert part(await read(store, clock, process, setup), Kind.RECEIVER, "pacs").level is Level.BAD
