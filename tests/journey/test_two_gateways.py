"""Two gateways on one PostgreSQL: neither undoes, nor overlooks, what the other has not committed yet."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, select, text

from gateway.assembly.mappings import load_mappings
from gateway.assembly.readers import make_reader
from gateway.journey import scheduling
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.message import MessageState
from gateway.records.work import SETTLE
from gateway.store import message_ties, messages, outbox_claims, settling
from gateway.store import worklist as worklist_rows
from gateway.store.engine import open_engine
from gateway.store.schema import orders, patients
from tests.journey.messages import adt, orm
from tests.journey.running import config_of
from tests.journey.test_order_kinds import SECOND, with_orc_8

NOW = 1_900_000_000_000_000
LATER = "20260123130000"


@pytest.fixture
def engine(shared_postgres: str) -> Iterator[Engine]:
    opened = open_engine(shared_postgres)
    yield opened
    opened.dispose()


def _apply(connection: Connection, raw: bytes) -> None:
    config = config_of("sqlite:///unused.db")
    reader = make_reader(config, load_mappings(config))
    listener = config.hl7.listeners[0].name
    statements = reader.read(raw, NOW, listener).statements
    applied = scheduling.apply(connection, statements, now=NOW, policy=scheduling.Policy(), history=reader.history)
    row = messages.add(
        connection, received_at=NOW, listener=listener, peer="", sender="", control_id="", type="", digest=b"",
        body=raw, state=MessageState.APPLIED, ack_code="AA", ack=b"", findings=[],
    )  # fmt: skip
    message_ties.tie(connection, row, {order: outcome for order, outcome in applied.orders if order is not None})


def _until_somebody_waits_for_a_lock(engine: Engine) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    end = time.monotonic() + 120
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(waiting).scalar():
            assert time.monotonic() < end, "nobody waits"


def _at_once(engine: Engine, first: bytes, second: bytes) -> None:
    """Two nodes apply two messages: the second begins before the first is committed, and waits."""

    def other() -> None:
        with engine.begin() as connection:
            _apply(connection, second)

    with engine.begin() as connection:
        _apply(connection, first)
        thread = threading.Thread(target=other)
        thread.start()
        _until_somebody_waits_for_a_lock(engine)
    thread.join()


def test_both_say_something_of_one_patient(engine: Engine) -> None:
    second = {"placer": "P2", "filler": "F2", "accession": "ACC2", "procedure": "RP2", "study_uid": "1.2.9"}
    with engine.begin() as connection:
        _apply(connection, orm())
        _apply(connection, orm(**second))
    allergy = orm(control="XO", at=LATER).replace(b"ORC|", b"AL1|1||^PENICILLIN\rORC|")
    note = orm(control="XO", at=LATER, **second).replace(b"PV1|", b"NTE|1||falls easily\rPV1|")
    _at_once(engine, allergy, note)
    with engine.connect() as connection:
        [said] = connection.execute(select(patients.c.attributes)).scalars()
    assert (said["Allergies"], said["PatientComments"]) == ("PENICILLIN", "falls easily")


def test_a_study_is_not_settled_while_its_order_is_being_committed(engine: Engine) -> None:
    """The worker of the other gateway would read the study without its order, and close the work."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO studies (study_uid, accession, patient_id, patient_issuer, source_ae, attributes, "
                "revision, settled_revision, first_at, last_at) VALUES ('1.2.3', '', 'P', '', '', '{}', 1, 0, 0, 0)"
            )
        )
        settling.arrived(connection, StudyInstanceUID("1.2.3"), settling.Wait(0), now=NOW, is_stated=False)

    def claimed() -> list[int]:
        with engine.begin() as connection:
            works = outbox_claims.claim(connection, kind=SETTLE, now=NOW, lease_micros=60_000_000, limit=4)
        return [work.id for work in works]

    with engine.begin() as connection:
        settling.changed(connection, StudyInstanceUID("1.2.3"), now=NOW)
        assert claimed() == []
    assert len(claimed()) == 1


def _states(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {row["accession"]: row["state"] for row in connection.execute(worklist_rows.ITEMS).mappings()}


REPLACED = orm()
REPLACEMENT = with_orc_8(orm(control="RO", at=LATER, **SECOND), "P1&RIS")


@pytest.mark.parametrize(("first", "second"), [(REPLACED, REPLACEMENT), (REPLACEMENT, REPLACED)])
def test_a_replacement_and_what_it_replaces_at_once(engine: Engine, first: bytes, second: bytes) -> None:
    _at_once(engine, first, second)
    assert _states(engine) == {"ACC1": "CANCELED", "ACC2": "SCHEDULED"}


MERGE = adt("A40", at=LATER, patient="NEW^^^HOSP", name="N^X", prior="OLD^^^HOSP")
CANCEL = orm(control="CA", at="20260123140000", patient="NEW^^^HOSP")


@pytest.mark.parametrize(("first", "second"), [(MERGE, CANCEL), (CANCEL, MERGE)])
def test_a_new_id_and_its_merge_at_once(engine: Engine, first: bytes, second: bytes) -> None:
    with engine.begin() as connection:
        _apply(connection, orm(patient="OLD^^^HOSP"))
    _at_once(engine, first, second)
    assert _states(engine) == {"ACC1": "CANCELED"}


FIRST_CHANGE = adt("A47", patient="I2^^^HOSP", name="N^X", prior="I1^^^HOSP")
NEXT_CHANGE = adt("A47", at=LATER, patient="I3^^^HOSP", name="N^X", prior="I2^^^HOSP")
MERGE_OF_FORMER = adt("A47", at=LATER, patient="I3^^^HOSP", name="N^X", prior="I1^^^HOSP")
OF_FORMER_ID, OF_ID_BETWEEN = orm(patient="I1^^^HOSP"), orm(patient="I2^^^HOSP")


@pytest.mark.parametrize(
    ("change", "order"), [(NEXT_CHANGE, OF_FORMER_ID), (NEXT_CHANGE, OF_ID_BETWEEN), (MERGE_OF_FORMER, OF_ID_BETWEEN)]
)
@pytest.mark.parametrize("is_change_first", [True, False])
def test_an_order_and_the_next_change_of_its_patient_s_id_at_once(
    engine: Engine, change: bytes, order: bytes, *, is_change_first: bool
) -> None:
    with engine.begin() as connection:
        _apply(connection, FIRST_CHANGE)
    _at_once(engine, *((change, order) if is_change_first else (order, change)))
    assert _patient_ids(engine) == ["I3"]


def test_an_arrival_under_a_former_id_and_the_next_change_of_the_id_at_once(engine: Engine) -> None:
    with engine.begin() as connection:
        _apply(connection, FIRST_CHANGE)
        _apply(connection, orm(patient="I2^^^HOSP"))
    _at_once(engine, NEXT_CHANGE, adt("A10", at="20301124080000", patient="I1^^^HOSP", name="N^X"))
    assert _patient_ids(engine) == ["I3"]
    assert _states(engine) == {"ACC1": "ARRIVED"}


def _patient_ids(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        rows = connection.execute(select(patients.c.patient_id).join(orders, orders.c.patient == patients.c.id))
        return list(rows.scalars())
