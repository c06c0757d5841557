"""The schema: brought up once, whoever asks; never guessed at."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import IntegrityError

from gateway.errors import ConfigError
from gateway.records.cause import cause_of, cause_of_message
from gateway.records.message import MessageState
from gateway.records.patient import Identity, Rank, values_after
from gateway.records.patient_merge import Absorbed, composed
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.records.work import SETTLE, delivery_to
from gateway.store import Store, messages, migrations, order_book, order_kin, outbox_listing, patients, schema
from gateway.store import engine as opening
from gateway.store.engine import open_engine
from gateway.store.schema import metadata
from tests.commands import FORKS


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    opened = open_engine(empty_url)
    yield opened
    opened.dispose()


def _differences(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
        )
        return list(compare_metadata(context, metadata))


def test_the_migrations_give_what_the_schema_says(engine: Engine) -> None:
    assert len(_differences(engine)) >= len(metadata.tables), "the comparison sees what is missing"
    assert migrations.upgrade(engine) == (None, migrations.newest())
    assert _differences(engine) == []
    for _ in range(2):
        migrations.prepare(engine)
    assert migrations.upgrade(engine) == (migrations.newest(), migrations.newest())
    assert _differences(engine) == [], "a second time changes nothing"
    wanted = {
        index.name: str(index.dialect_options[engine.dialect.name]["where"])
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options[engine.dialect.name]["where"] is not None
    }
    indexes = [one for table in metadata.tables for one in inspect(engine).get_indexes(table)]
    partial = {one["name"]: _states(one) for one in indexes if _states(one)}
    assert wanted.keys() == partial.keys(), "which the comparison does not look at"
    if engine.dialect.name == "sqlite":
        wanted_in_key = {t.name for t in metadata.sorted_tables if not t.dialect_options["sqlite"]["with_rowid"]}
        with engine.connect() as connection:
            in_key = connection.execute(text("SELECT name FROM pragma_table_list WHERE wr")).scalars().all()
        assert wanted_in_key == set(in_key)


def _states(index: Any) -> str:
    options = index.get("dialect_options") or {}
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


def test_somebody_elses_database_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE invoices (id INTEGER)"))
    with pytest.raises(ConfigError, match="holds tables that are not the gateway's; give it an empty one"):
        migrations.prepare(engine)
    assert inspect(engine).get_table_names() == ["invoices"]


@pytest.mark.parametrize(
    ("revision", "cure"), [("9999", "newer than this program; install the newer gateway"), ("", "gateway db upgrade")]
)
def test_another_version_is_refused_with_the_cure(
    sqlite_url: str, revision: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(sqlite_url)
    if revision:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    else:
        # Let this program need one more revision than there is.
        monkeypatch.setattr(migrations, "newest", lambda: "one more")
    with pytest.raises(ConfigError, match=cure):
        migrations.prepare(engine)
    engine.dispose()


_OF_0001 = """
INSERT INTO patients (id, patient_id, issuer, attributes, updated_at)
    VALUES (1, 'P1', 'HOSP', '{"PatientID":"P1","PatientName":"OLD^NAME"}', 1000);
INSERT INTO orders (id, patient, authority, accession, sender, placer, placer_authority, filler, filler_authority,
                    attributes, event_at, created_at, updated_at)
    VALUES (1, 1, 'HOSP', 'A1', 'HOSP', 'PL1', '', '', '', '{"AccessionNumber":"A1"}', 1000, 1000, 1000);
INSERT INTO procedures (id, "order", requested_procedure_id, study_uid, attributes, derived, event_at)
    VALUES (1, 1, 'RP1', '1.2.3', '{"RequestedProcedureID":"RP1","StudyInstanceUID":"1.2.3"}', '[]', 1000);
INSERT INTO steps (id, procedure, step_id, state, modality, station_ae, start_date, start_time, attributes, derived,
                   updated_at)
    VALUES (1, 1, 'S1', 'SCHEDULED', 'CT', '', '20301124', '', '{"ScheduledProcedureStepID":"S1"}', '[]', 1000)
"""


def _orders_of_0001(connection: Connection) -> None:
    """A patient of 0001 is known by what orders said; ADT may correct it, and an older order may not."""
    patient = patients.find(connection, Identity("P1", "HOSP"))
    order = order_book.get(connection, OrderRow(1))
    assert patient is not None
    older, _ = values_after(patient["attributes"], patient["stamps"], {"PatientName": "OLDER^X"}, Rank.ORDER, 999)
    newer, _ = values_after(patient["attributes"], patient["stamps"], {"PatientName": "NEW^X"}, Rank.REGISTRATION, 1)
    assert (older["PatientName"], newer["PatientName"]) == ("OLD^NAME", "NEW^X")
    assert (patient["former"], patient["merged_into"], patient["arrivals"]) == ([], None, [])
    assert (order.moved_at, [step.step_id for one in order.procedures for step in one.steps]) == (1000, ["S1"])


_OF_0016 = """
INSERT INTO patients (id, patient_id, issuer, attributes, said, former, name_key, merged_into, arrivals, updated_at)
    VALUES (11, 'NEW', 'HOSP', '{"PatientID":"NEW","PatientName":"N^X"}', '{"PatientName":[2,1000]}',
            '[["OLD","HOSP"]]', 'N', NULL, '[[900,"20301124"]]', 1000);
INSERT INTO patients (id, patient_id, issuer, attributes, said, former, name_key, merged_into, arrivals, updated_at)
    VALUES (12, 'OLD', 'HOSP', '{"PatientID":"OLD","PatientName":"O^X"}', '{"PatientName":[1,500]}', '[]', 'O', 11,
            '[]', 1000);
INSERT INTO orders (id, patient, authority, accession, sender, placer, placer_authority, filler, filler_authority,
                    parent, attributes, event_at, moved_at, performed_at, created_at, updated_at)
    VALUES (11, 11, 'HOSP', 'A0', 'RIS', 'P0', '', '', '', '', '{"AccessionNumber":"A0"}', 1000, 0, 0, 1000, 1000);
INSERT INTO orders (id, patient, authority, accession, sender, placer, placer_authority, filler, filler_authority,
                    parent, attributes, event_at, moved_at, performed_at, created_at, updated_at)
    VALUES (12, 11, 'HOSP', 'A2', 'RIS', 'P1', '', '', '', 'P0', '{"AccessionNumber":"A2"}', 1000, 0, 0, 1000, 1000);
INSERT INTO procedures (id, "order", requested_procedure_id, study_uid, attributes, derived, event_at)
    VALUES (11, 12, 'RP1', '1.2.16', '{"RequestedProcedureID":"RP1","StudyInstanceUID":"1.2.16"}', '[]', 1000)
"""
"""A patient of two identities, with an order and its child."""


def _kin_of_0016(connection: Connection) -> None:
    """0017, 0018, 0019: whoever was merged stays so, whenever that was; parents and children find one another."""
    new, old = (patients.find(connection, Identity(one, "HOSP")) for one in ("NEW", "OLD"))
    parent, child = (order_book.get(connection, OrderRow(row)) for row in (11, 12))
    parents = [one.row for one in order_kin.parents(connection, child)]
    children = [one.row for one in order_kin.children(connection, parent)]
    [absorbed] = patients.absorbed_by(connection, PatientRow(11))
    assert new is not None
    assert old is not None
    assert [(row["merged_into"], row["merged_at"], row["first_at"], row["own"]) for row in (new, old)] == [
        (None, 0, 0, None), (11, 0, 0, None),
    ]  # fmt: skip
    assert absorbed["id"] == 12
    others = [Absorbed(old["attributes"], old["stamps"], old["merged_at"])]
    assert composed(new["attributes"], new["stamps"], others)[0] == new["attributes"]
    assert (parents, children, child.parent, child.parent_filler) == ([11], [12], "P0", "")
    assert (child.study_uid, child.study_uids) == ("", {"1.2.16"})


_WORK_OF_0007 = """
INSERT INTO outbox (kind, lane, subject, payload, state, due_at, attempts, lease, lease_until, created_at, outcome)
    VALUES (:kind, 'x', '1.2', '{}', :state, 1, 1, '', 0, 1, :outcome)
"""
_MESSAGE_OF_0007 = """
INSERT INTO messages (received_at, listener, peer, sender, control_id, type, digest, body, state, ack_code, ack,
                      findings)
    VALUES (1, 'main', '127.0.0.1', 'RIS|HOSP', 'M', :type, :bytes, :bytes, :state, 'AR', :bytes, :findings)
"""
_UNKNOWN_PATIENT = '{{"error":"HTTP 422: Patient {} is not known","issues":[{{"code":"not-found"}}]}}'


def _fill_0007(connection: Connection) -> None:
    work = [
        ("ehr:main", "parked", _UNKNOWN_PATIENT.format(4711)),
        ("ehr:main", "rejected", _UNKNOWN_PATIENT.format(4712)),
        ("settle", "parked", None),
        ("ehr:main", "done", '{"id":"7"}'),
    ]
    received = [
        ("ADT^A08", "rejected", '[{"place":"MSH-9.2","text":"trigger is not served"}]'),
        ("ORM^O01", "rejected", '[{"place":"","text":"worked on again at 1"},{"place":"PID-3","text":"not MSH-9."}]'),
        ("BAR^P01", "stored", '[{"place":"MSH-9","text":"kept only"}]'),
    ]
    for kind, state, outcome in work:
        connection.execute(text(_WORK_OF_0007), {"kind": kind, "state": state, "outcome": outcome})
    for kind, state, findings in received:
        values = {"type": kind, "bytes": b"x", "state": state, "findings": findings}
        connection.execute(text(_MESSAGE_OF_0007), values)


def _causes_of_0007(connection: Connection) -> None:
    """0008: work is grouped as today's program groups it; messages of a type that is not served stay apart."""
    unknown = {"error": "HTTP 422: Patient 1 is not known", "issues": [{"code": "not-found"}]}
    groups = outbox_listing.stuck(connection)
    unserved, wrong = messages.unserved(connection), messages.wrong(connection)
    assert [(group.cause, group.count) for group in groups] == [
        (cause_of(delivery_to("main"), unknown), 2), (cause_of(SETTLE, {}), 1),
    ]  # fmt: skip
    assert [row["type"] for row in unserved] == ["ADT^A08"]
    fault = {"place": "PID-3", "text": "not MSH-9."}
    assert [(row["type"], row["cause"]) for row in wrong if row["id"] < 20] == [
        ("ORM^O01", cause_of_message(fault).key)
    ]


def _prepare(url: str, together: Barrier) -> None:
    # In this process alone: on a busy machine the tables may take longer than others wait for a lock.
    opening.LOCK_TIMEOUT_MS = 120_000  # type: ignore[misc]
    engine = open_engine(url)
    together.wait(120)
    migrations.prepare(engine)


def test_two_processes_at_once(empty_url: str) -> None:
    together = FORKS.Barrier(2)
    processes = [FORKS.Process(target=_prepare, args=(empty_url, together)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    engine = open_engine(empty_url)
    assert _differences(engine) == []
    engine.dispose()


async def test_tables_may_take_longer_than_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow disk a gateway that gave up would begin anew with each start, and never serve."""
    upgrade, answer_seconds = migrations.upgrade, 2.0

    def slowly(engine: Engine) -> tuple[str | None, str]:
        time.sleep(answer_seconds * 1.1)
        return upgrade(engine)

    monkeypatch.setattr(migrations, "upgrade", slowly)
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db", answer_seconds=answer_seconds)
    assert await store.read(migrations.current) == migrations.newest()
    await store.close()


async def test_two_stores_in_one_process_at_once(empty_url: str) -> None:
    for store in await asyncio.gather(Store.open(empty_url), Store.open(empty_url)):
        await store.close()


def test_a_migration_that_fails_leaves_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.operations import Operations

    create_index = Operations.create_index

    def broken(self: Operations, name: Any, table: str, *arguments: Any, **options: Any) -> Any:
        if table == "steps":
            raise RuntimeError("the power failed")
        return create_index(self, name, table, *arguments, **options)

    monkeypatch.setattr("alembic.op.create_index", lambda *a, **k: broken(_operations(), *a, **k))
    with pytest.raises(RuntimeError, match="the power failed"):
        migrations.upgrade(engine)
    assert inspect(engine).get_table_names() == []
    monkeypatch.undo()
    migrations.prepare(engine)
    assert _differences(engine) == []


def _operations() -> Any:
    from alembic import op

    return op._proxy  # type: ignore[attr-defined]


def test_no_migration_imports_the_program() -> None:
    """A migration is history: what the program does today must not change what an upgrade does."""
    folder = Path(migrations.__file__).parent / "versions"
    importing = [
        path.name
        for path in sorted(folder.glob("*.py"))
        if re.search(r"^\s*(from|import) gateway", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert importing == []


_OF_0023 = """
INSERT INTO patients (id, patient_id, issuer, attributes, name_key, updated_at)
    VALUES (21, 'P21', 'HOSP', '{}', 'muster^erika^maria', 1), (22, 'P22', 'HOSP', '{}', 'mononym', 1)
"""
_MESSAGE_OF_0023 = """
INSERT INTO messages (id, received_at, listener, peer, sender, control_id, type, digest, body, state, ack_code, ack,
                      findings)
    VALUES (:id, :at, 'ris', '', 'RIS|HOSP', 'C1', 'ORM^O01', :nothing, :body, :state, 'AE', :nothing, '[]')
"""


def _fill_0023(connection: Connection) -> None:
    body = b'MSH|^~\\&|RIS|HOSP|GW|GW|1||ORM^O01|C1|P|2.3.1\rPID|1||4711^^^HOSP~4712||\xe4^B\rORC|NW|PL1^RIS|""\r'
    connection.execute(text(_OF_0023))
    row = {"at": 1, "body": body, "nothing": b""}
    for number, state in enumerate(("rejected", "applied"), 21):
        connection.execute(text(_MESSAGE_OF_0023), {**row, "id": number, "state": state})


def _names_and_numbers_of_0023(connection: Connection) -> None:
    """0024: patients and rejected messages are found by what is in them."""
    given = connection.execute(text("SELECT given_key FROM patients WHERE id IN (21, 22) ORDER BY id")).scalars().all()
    asked = text("SELECT message, value FROM message_numbers WHERE message > 20 ORDER BY value")
    assert given == ["erika^maria", ""]
    assert [tuple(one) for one in connection.execute(asked)] == [(21, "4711"), (21, "4712"), (21, "C1"), (21, "PL1")]


_OF_0039 = """
INSERT INTO patients (id, patient_id, issuer, attributes, said, own, updated_at) VALUES
    (31, 'P31', 'HOSP', '{"PatientName":"A^B"}', '{"PatientName":[1,7]}', NULL, 1),
    (32, 'P32', 'HOSP', '{}', '{}', '{"attributes":{"PatientName":"\\"said\\":"},"said":{"PatientName":[1,8]}}', 1)
"""


def _stamps_of_0039(connection: Connection) -> None:
    """0040: when each attribute was stated is kept under another name; a value that looks like it is not touched."""
    rows = connection.execute(
        select(schema.patients.c.stamps, schema.patients.c.own).where(schema.patients.c.id > 30).order_by("id")
    )
    assert [tuple(one) for one in rows] == [
        ({"PatientName": [1, 7]}, None),
        ({}, {"attributes": {"PatientName": '"said":'}, "stamps": {"PatientName": [1, 8]}}),
    ]


_OF_0041 = """
INSERT INTO queries (id, asked_at, calling_ae, address, keys, status, matches, micros)
    VALUES (1, 1, 'CT', '127.0.0.1', '{}', 0, 2, 1);
INSERT INTO query_matches ("query", step) VALUES (1, 2), (1, 1);
INSERT INTO order_messages ("order", message, outcome) VALUES (12, 22, 'updated'), (11, 22, 'created');
INSERT INTO patient_messages (patient, message, outcome) VALUES (21, 22, 'updated')
"""
"""Of orders, messages and patients of older revisions."""


def _ties_of_0041(connection: Connection) -> None:
    """0042: rows that are kept otherwise on SQLite are the same, and what they belong to takes them along."""
    rows = [connection.execute(table.select().order_by(*table.c)).all() for table in (
        schema.query_matches, schema.order_messages, schema.patient_messages,
    )]  # fmt: skip
    assert [[tuple(row) for row in one] for one in rows] == [
        [(1, 1), (1, 2)], [(11, 22, "created"), (12, 22, "updated")], [(21, 22, "updated")],
    ]  # fmt: skip
    assert {row["id"] for row in messages.listing(connection, state=MessageState.REJECTED)} >= {21}
    with connection.begin_nested() as savepoint:
        connection.execute(schema.queries.delete())
        assert connection.execute(select(schema.query_matches)).all() == []
        savepoint.rollback()
    with pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(schema.order_messages.insert(), {"order": 99, "message": 22, "outcome": ""})


def _statements(written: str, connection: Connection) -> None:
    for statement in written.split(";"):
        connection.exec_driver_sql(statement)


OLDER: dict[str, tuple[Callable[[Connection], None], Callable[[Connection], None]]] = {
    "0001": (partial(_statements, _OF_0001), _orders_of_0001),
    "0007": (_fill_0007, _causes_of_0007),
    "0016": (partial(_statements, _OF_0016), _kin_of_0016),
    "0023": (_fill_0023, _names_and_numbers_of_0023),
    "0039": (partial(_statements, _OF_0039), _stamps_of_0039),
    "0041": (partial(_statements, _OF_0041), _ties_of_0041),
}
"""Revision -> what its program kept, and that today's program knows it."""


def test_what_older_programs_kept_is_taken_over(engine: Engine) -> None:
    for revision, (fill, _) in OLDER.items():
        with engine.begin() as connection:
            command.upgrade(migrations._config(connection), revision)
            fill(connection)
    assert migrations.upgrade(engine) == (list(OLDER)[-1], migrations.newest())
    with engine.connect() as connection:
        for _, is_known in OLDER.values():
            is_known(connection)
