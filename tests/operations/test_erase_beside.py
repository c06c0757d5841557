"""A patient is erased while others come, holds are set and orders of the patient arrive."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select

from gateway.clock import now
from gateway.errors import Conflict
from gateway.operations.erase import plan, resumed
from gateway.operations.hold import HoldDecision, hold
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.legal_hold import HoldOn, LegalHold
from gateway.records.work import Lane, forward_to
from gateway.store import erasing, outbox
from gateway.store.engine import sqlite_file
from gateway.store.schema import messages, unknown_codes
from gateway.store.schema import outbox as rows
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import orm
from tests.journey.running import Start
from tests.operations.test_erase import ONE, OTHER, SECRETS, WHO, contents, erasure, lived, naming

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Whose statements are those of `test_erase`, which both databases do; SQLite gives numbers of rows anew."""


async def test_a_patient_who_gets_the_row_of_the_erased_is_not_erased(
    start: Start, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives the number of a row anew once the newest row is gone."""
    whole = erasing.erase_some

    def killed(connection: Connection, targets: Any) -> Counter[str]:
        tally = whole(connection, targets)
        if not tally:
            raise KeyError("killed")
        return tally

    async with start() as gateway:
        await lived(gateway, ONE)
        targets = (await plan(gateway.store, WHO)).targets
        monkeypatch.setattr("gateway.operations.erase.erasing.erase_some", killed)
        with pytest.raises(KeyError):
            await erasure(gateway.store, targets, database_url).run()
        monkeypatch.undo()
        await lived(gateway, OTHER)
        before = naming(await gateway.store.read(contents), *OTHER.values())
        [begun] = await resumed(gateway.store, now, file=sqlite_file(database_url))
        erased = await begun.run()
        assert erased.proof.left == []
        assert naming(await gateway.store.read(contents), *OTHER.values()) == before


async def test_a_hold_that_is_set_meanwhile_ends_the_erasure(
    start: Start, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = LegalHold(HoldOn.PATIENT, WHO.patient_id, WHO.issuer)
    whole = erasing.erase_some
    begun = False

    async with start() as gateway:
        await lived(gateway, ONE)
        targets = (await plan(gateway.store, WHO)).targets

        def beside(connection: Connection, targets: Any) -> Counter[str]:
            nonlocal begun
            if not begun:
                begun = True
                hold(connection, held, HoldDecision("anna", "case", now()))
            return whole(connection, targets)

        monkeypatch.setattr("gateway.operations.erase.erasing.erase_some", beside)
        with pytest.raises(Conflict, match="legal hold"):
            await erasure(gateway.store, targets, database_url).run()
        rows = naming(await gateway.store.read(contents), WHO.patient_id)
        assert "patients" in rows
        assert rows["legal_holds"] == 1


async def test_an_order_that_comes_meanwhile_goes_too_with_all_its_numbers(
    start: Start, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = erasing.erase_some
    async with start() as gateway:
        await lived(gateway, ONE)
        targets = (await plan(gateway.store, WHO)).targets
        late = orm(
            patient=f"{WHO.patient_id}^^^HOSP", name=ONE["name"], placer="P-LATE-1", filler="F-LATE-1",
            accession="ACCLATE1", study_uid="1.2.47110.77", control_id="LATE1", step="SLATE1", procedure="RLATE1",
        )  # fmt: skip
        unread = orm(
            patient="", name="", placer="P-LATE-1", filler="F-LATE-1", accession="ACCLATE1", control_id="LATE2",
            modality="XYZ1",
        )  # fmt: skip
        async with MllpClient("127.0.0.1", next(iter(gateway.hl7_ports.values()))) as ris:
            await ris.send(late)
            await ris.send(unread)
        monkeypatch.setattr("gateway.operations.erase.erasing.erase_some", whole)
        erased = await erasure(gateway.store, targets, database_url).run()
        assert erased.proof.is_clean
        assert naming(await gateway.store.read(contents), *SECRETS, "LATE-1", "ACCLATE1", "1.2.47110.77") == {}


async def test_nothing_points_at_the_row_of_a_message_that_is_gone(start: Start, database_url: str) -> None:
    """The next message may get its number: it would be passed on in place of the one that was erased."""
    lane = Lane(forward_to("ris"), StudyInstanceUID("listener-ris"))

    def passed_on(connection: Connection) -> int:
        [message] = connection.execute(select(messages.c.id).where(messages.c.cause != "")).scalars()
        outbox.enqueue(connection, lane=lane, payload={"message": message}, due_at=2**60, now=now())
        return int(message)

    def pointing(connection: Connection, message: int) -> list[object]:
        codes = select(unknown_codes.c.message).where(unknown_codes.c.message == message)
        return [*connection.execute(codes), *connection.execute(select(rows.c.id).where(rows.c.lane == str(lane)))]

    async with start() as gateway:
        await lived(gateway, ONE)
        message = await gateway.store.write(passed_on)
        assert len(await gateway.store.read(partial(pointing, message=message))) == 2
        targets = (await plan(gateway.store, WHO)).targets
        assert (await erasure(gateway.store, targets, database_url).run()).proof.left == []
        assert await gateway.store.read(partial(pointing, message=message)) == []


async def test_another_patient_who_gets_the_same_number_meanwhile_is_not_erased(
    start: Start, database_url: str
) -> None:
    async with start() as gateway:
        await lived(gateway, ONE)
        targets = (await plan(gateway.store, WHO)).targets
        assert targets.is_alone
        async with MllpClient("127.0.0.1", next(iter(gateway.hl7_ports.values()))) as ris:
            await ris.send(
                orm(patient=f"{WHO.patient_id}^^^CLINIC", name="ANDERE^ANNA", placer="P-77002", filler="F-77002",
                    accession="ACC77002", control_id="77002", study_uid="1.2.77002")
            )  # fmt: skip
            await ris.send(
                orm(patient=f"{WHO.patient_id}^^^CLINIC", name="ANDERE^ANNA", placer="P-77003", filler="F-77003",
                    accession="ACC77003", control_id="77003", study_uid="1.2.77003", modality="XYZ1")
            )  # fmt: skip
        before = naming(await gateway.store.read(contents), "ACC77002", "ACC77003")
        assert before["messages"] == 2
        await erasure(gateway.store, targets, database_url).run()
        assert naming(await gateway.store.read(contents), "ACC77002", "ACC77003") == before
