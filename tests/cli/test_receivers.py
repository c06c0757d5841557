"""`pause`, `resume`, `receivers`, `give-up`, `resend`, as a person runs them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from gateway.errors import Fate
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import SourceState, Watermark
from gateway.records.work import Lane, delivery_to
from gateway.store import Store, outbox, outbox_claims, outbox_listing, source_watermarks
from tests.cli.test_commands import configure
from tests.commands import gateway, served

EHRS = [{"name": "main", "url": "http://127.0.0.1:9/fhir"}]


def add(connection: Connection, number: int, fate: Fate | None) -> None:
    kind = delivery_to("main")
    lane = Lane(kind, StudyInstanceUID(f"1.2.{number}"))
    outbox.enqueue(connection, lane=lane, payload={"digest": str(number)}, due_at=1, now=1)
    [work] = outbox_claims.claim(connection, kind=kind, now=2, lease_micros=10, limit=1)
    if fate is None:
        outbox_claims.succeed(connection, work, now=3, outcome={})
    else:
        outbox_claims.fail(connection, work, fate, now=3, due_at=3, outcome={"error": "HTTP 422"})


async def fill(folder: Path, *fates: Fate | None) -> None:
    configure(folder, ehrs=EHRS)
    store = await Store.open(f"sqlite:///{folder}/gateway.db")
    for number, fate in enumerate(fates, 1):
        await store.write(partial(add, number=number, fate=fate))
    await store.close()


async def test_a_receiver_is_paused_and_resumed(tmp_path: Path) -> None:
    await fill(tmp_path, Fate.PARK, None)
    done = await gateway("pause", "main", "--note", "upgrade", "--by", "night", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "main is paused now\n"), done.stderr
    listed = (await gateway("receivers", folder=tmp_path)).stdout
    assert listed.startswith("main  EHR: 0 waiting, 1 parked, last done 1970-01-01 00:00:00Z  paused since 2")
    assert listed.endswith(" by night: upgrade\n")
    [state] = json.loads((await gateway("receivers", "--json", folder=tmp_path)).stdout)
    assert (state["name"], state["pause"]["person"]) == ("main", "night")
    assert (await gateway("resume", "--all", folder=tmp_path)).stdout == "main is not paused now\n"
    assert (await gateway("resume", "main", folder=tmp_path)).stdout == "main is not paused already\n"
    wrong = await gateway("pause", "other", folder=tmp_path)
    assert (wrong.returncode, wrong.stderr) == (
        1, "name: there is no receiver 'other'; the configuration has main\n",
    )  # fmt: skip
    assert (await gateway("pause", folder=tmp_path)).returncode == 2


async def test_a_source_of_studies_shows_how_it_was_polled(tmp_path: Path) -> None:
    configure(tmp_path, studies={"sources": [{"name": "pacs", "kind": "dicomweb", "url": "http://pacs.test"}]})
    watermark = Watermark({}, "2026-01-03", "2026-02-01", is_behind=True, note="it ignores offset")
    state = SourceState("pacs", watermark, 1_000_000, 2_000_000, "pacs.test: HTTP 500", listed=7, wanted=3)
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    await store.write(partial(source_watermarks.save, state=state))
    await store.close()
    assert (await gateway("receivers", folder=tmp_path)).stdout == (
        "pacs  source of studies: 0 waiting, last poll 1970-01-01 00:00:01Z, listed to 2026-01-03 of 2026-02-01, "
        "7 studies listed so far, 3 of them new or changed, "
        "failing since 1970-01-01 00:00:02Z: pacs.test: HTTP 500 (it ignores offset)\n"
    )
    [told] = json.loads((await gateway("receivers", "--json", folder=tmp_path)).stdout)
    assert (told["source"]["watermark"]["reached"], told["source"]["listed"]) == ("2026-01-03", 7)


async def test_deliveries_are_given_up_with_a_note_and_taken_back(tmp_path: Path) -> None:
    await fill(tmp_path, Fate.PARK, Fate.PARK, None)
    done = await gateway("give-up", "d1", "3", "--note", "test patient", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "d1: given up\n")
    assert done.stderr.startswith("delivery 3: it is done; only parked, rejected or pending work")
    key = (await gateway("parked", "--by-cause", folder=tmp_path)).stdout.split()[0]
    done = await gateway("give-up", "--cause", key, "--note", "test patient", folder=tmp_path)
    assert done.stdout == f"{key}: 1 deliveries, given up\n"
    assert (await gateway("parked", folder=tmp_path)).stdout == "Nothing is parked.\n"
    assert (await gateway("replay", "d1", folder=tmp_path)).stdout == "d1: due now\n"
    assert (await gateway("give-up", "d1", "--note", " ", folder=tmp_path)).stderr.startswith("note: a note is needed")


async def test_what_an_ehr_was_sent_is_sent_again(tmp_path: Path) -> None:
    await fill(tmp_path, None, None, Fate.PARK)
    done = await gateway("resend", "1.2.1", "1.2.3", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "1.2.1: 1 deliveries, due now\n")
    done = await gateway("resend", "--ehr", "main", "--since", "1970-01-01", "--per-second", "2", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "main: 1 deliveries, the last due in 0 s\n"), done.stderr
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    waiting = await store.read(partial(outbox_listing.listing, states=("pending",)))
    await store.close()
    assert [row["subject"] for row in waiting] == ["1.2.2", "1.2.1"]
    for wrong in ([], ["1.2.1", "--ehr", "main"], ["--ehr", "other"], ["--since", "2026-01-01"]):
        assert (await gateway("resend", *wrong, folder=tmp_path)).returncode == 2, wrong


async def test_a_restored_gateway_is_started_with_all_receivers_paused(tmp_path: Path) -> None:
    configure(tmp_path, ehrs=EHRS)
    async with served(tmp_path, "--paused"):
        listed = (await gateway("receivers", folder=tmp_path)).stdout
        assert listed.endswith(" by gateway run: started with --paused\n")
        assert (await gateway("resume", "--all", folder=tmp_path)).stdout == "main is not paused now\n"
