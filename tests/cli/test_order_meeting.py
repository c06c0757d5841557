"""`unmatched`, `release-study`, `link-study`, `unlink-study`: what they print, and how they end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from gateway.errors import GatewayError
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import Check, CheckPolicy, Conflict, FoundConflict, OrderStanding
from gateway.records.row_ids import OrderRow
from gateway.store import Store, order_conflicts
from gateway.store.schema import studies
from tests.cli.test_linking import run
from tests.web.served import NINE, STUDY, add_instance, add_order


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a database that holds a study which its order holds, and one without an order."""
    url = f"sqlite:///{tmp_path}/gateway.db"

    def fill(connection: Connection) -> None:
        add_order(connection)
        add_instance(connection, 1, at=NINE)
        conflict = FoundConflict(Conflict(Check.PATIENT_ID, OrderRow(1), "4711", "4712"), CheckPolicy.HOLD)
        order_conflicts.note(connection, StudyInstanceUID(STUDY), [conflict], OrderStanding.HELD, now=NINE)
        add_instance(connection, 1, at=NINE, study_uid="1.2.9")
        unmatched = update(studies).where(studies.c.study_uid == "1.2.9")
        connection.execute(unmatched.values(order_standing=OrderStanding.UNMATCHED.value))

    async def prepare() -> None:
        store = await Store.open(url)
        await store.write(fill)
        await store.close()

    asyncio.run(prepare())
    monkeypatch.setenv("GATEWAY_DATABASE__URL", url)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_what_is_held_is_listed_released_and_linked() -> None:
    held, differs, unmatched = run("unmatched").splitlines()
    assert held.startswith(f"{STUDY}: held, patient 4711")
    assert differs == "    patient id (hold): '4711' in the images, '4712' in order 1"
    assert unmatched.startswith("1.2.9: unmatched")
    released = f"study {STUDY} is released, although these differ: patient id\n"
    assert run("release-study", STUDY, "--note", "asked the ward", "--by", "anna") == released
    assert run("release-study", STUDY, "--note", "again") == f"study {STUDY} is not held, nothing was done\n"
    linked = "study 1.2.9 is linked with order 1"
    assert run("link-study", "1.2.9", "--accession", "A100", "--note", "walk-in") == f"{linked}\n"
    assert run("link-study", "1.2.9", "--order", "1") == f"{linked} already, nothing was done\n"
    assert run("unlink-study", "1.2.9", "--order", "1") == "study 1.2.9 is no longer linked with order 1\n"


@pytest.mark.usefixtures("folder")
def test_faults_are_named() -> None:
    for arguments, text in (
        (("release-study", "1.2.3", "--note", "x"), "there is no such study"),
        (("link-study", STUDY), "name the order, or its accession number"),
        (("link-study", STUDY, "--accession", "A7"), "there is no such order"),
        (("link-study", STUDY, "--order", "1", "--note", "x" * 257), "at most 256 characters"),
    ):
        with pytest.raises(GatewayError, match=text):
            run(*arguments)
