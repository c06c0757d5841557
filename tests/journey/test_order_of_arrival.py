"""What came in another order than it was stated: the worklist is that of the statements in the order of their times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.config.site import Site
from gateway.store import Store
from gateway.store.schema import orders, patients, procedures
from gateway.store.schema import steps as steps_table
from tests.conftest import Time
from tests.journey.intake import Intake, shared
from tests.journey.messages import adt, apart, orm
from tests.journey.running import Start, config_of, sqlite
from tests.journey.test_order_kinds import SECOND, appointment, with_orc_8
from tests.journey.test_patients import names
from tests.journey.test_scheduling import outcomes, states

T1, T2, T3, T4 = (f"202601231{hour}0000" for hour in (3, 4, 5, 6))
NEW, OLD = "NEW^^^HOSP", "OLD^^^HOSP"


def replacement(**fields: str) -> bytes:
    return with_orc_8(orm(control="RO", control_id="RO", **({"at": T2} | SECOND | fields)), "P1&RIS")


def child(**fields: str) -> bytes:
    return with_orc_8(orm(control="CH", control_id="CH", **({"at": T1} | SECOND | fields)), "P1&RIS")


def cancel(at: str = T3, **fields: str) -> bytes:
    return orm(control="CA", status="CA", control_id="CA", at=at, **fields)


def hold(at: str = T3, **fields: str) -> bytes:
    return orm(control="HD", status="HD", control_id="HD", at=at, **fields)


THIRD = {"placer": "P3", "filler": "F3", "accession": "ACC3", "study_uid": "1.2.8", "procedure": "RP3"}
OF_OLD, OF_NEW = {"patient": OLD, "name": "O^X"}, {"patient": NEW, "name": "N^X"}
PLACED = {"filler": "", "accession": "", "study_uid": "", "procedure": "", "step": ""}
FILLED = {"placer": "", "accession": "", "study_uid": "", "procedure": "", "step": ""}
OF_STUDY = {"placer": "", "filler": "", "accession": "", "procedure": "", "step": ""}
BOTH = {"accession": "", "study_uid": "", "procedure": "", "step": ""}


def step(
    control: str, step: str, procedure: str = "RP1", at: str = "20260123120000", accession: str = "",
    placer: str = "P1", filler: str = "",
) -> list[str]:  # fmt: skip
    """A further ORC and OBR of the same order."""
    return [
        f"ORC|{control}|{placer}|{filler}||SC||1^^^20301124093000^^R||{at}",
        f"OBR|2|{placer}|{filler}|CTH^CT head^99RIS||||||||||||||{accession}|{procedure}|{step}"
        "||||CT|||1^^^20301124093000^^R",
    ]


TWO_PROCEDURES = orm(study_uid="", more=step("NW", "SPS2", "RP2", accession="ACC1"))
TWO_CHANGED = orm(control="XO", at=T2, study_uid="", step="S1", accession="", filler="", more=step("XO", "S2", at=T2))
TWO_OF_A_STUDY = orm(step="S1", more=step("NW", "S2", accession="ACC1"))
OF_FILLER = {"placer": ""}
STORIES: dict[str, tuple[Sequence[bytes], list[str]]] = {
    "a replacement": ([orm(), replacement()], ["ACC2 PAT1"]),
    "a replacement of a replacement": (
        [orm(), replacement(), with_orc_8(orm(control="RO", control_id="2", at=T3, **THIRD), "P2&RIS")],
        ["ACC3 PAT1"],
    ),
    "a replacement of what is ordered anew": ([replacement(), orm(control_id="2", at=T3)], ["ACC1 PAT1", "ACC2 PAT1"]),
    "a cancelled parent": ([orm(control="PA"), child(), cancel()], []),
    "a cancelled parent that is ordered by nobody": ([child(), cancel()], []),
    "a parent on hold": ([orm(control="PA"), child(), hold()], []),
    "a parent on hold and released": (
        [child(), hold(), orm(control="RL", control_id="RL", at=T4)],
        ["ACC2 PAT1"],
    ),
    "a parent that is cancelled by its filler order number": (
        [orm(control="PA"), child(), cancel(placer="", accession="")],
        [],
    ),
    "a child of a child": (
        [orm(control="PA"), child(), with_orc_8(orm(control="CH", control_id="2", at=T2, **THIRD), "P2&RIS"), cancel()],
        [],
    ),
    "a child that is ordered after the cancel of its parent": ([cancel(at=T1), child(at=T2)], ["ACC2 PAT1"]),
    "two orders of one time behind a cancel, of which one names a step more": (
        [
            TWO_OF_A_STUDY,
            cancel(at=T1, procedure="", step=""),
            orm(control_id="2", step="S1", at=T2),
            orm(control_id="3", step="S1", at=T2, more=step("NW", "S2", at=T2, accession="ACC1")),
        ],
        ["ACC1 PAT1", "ACC1 PAT1"],
    ),
    "a merge, then a cancel": (
        [orm(**OF_OLD), adt("A40", at=T1, patient=NEW, name="N^X", prior=OLD), cancel(at=T2, **OF_NEW)],
        [],
    ),
    "a change of id, then a cancel": (
        [orm(**OF_OLD), adt("A47", at=T1, patient=NEW, name="N^X", prior=OLD), cancel(at=T2, **OF_NEW)],
        [],
    ),
    "a change of id of an order that two messages of the new id name by two numbers": (
        [
            orm(study_uid="", **OF_OLD),
            adt("A47", at=T1, patient=NEW, name="N^X", prior=OLD),
            hold(at=T2, **PLACED, **OF_NEW),
            orm(control="XO", control_id="XO", at=T3, placer="", filler="", study_uid="", **OF_NEW),
        ],
        [],
    ),
    "a merge, then a replacement": (
        [orm(**OF_OLD), adt("A40", at=T1, patient=NEW, name="N^X", prior=OLD), replacement(**OF_NEW)],
        ["ACC2 NEW"],
    ),
    "a merge, then a hold that names the accession number only": (
        [
            orm(**OF_OLD),
            adt("A40", at=T1, patient=NEW, name="N^X", prior=OLD),
            hold(at=T2, placer="", filler="", **OF_NEW),
        ],
        [],
    ),
    "a merge, then a hold that names the study only": (
        [
            orm(placer="", **OF_OLD),
            adt("A40", at=T1, patient=NEW, name="N^X", prior=OLD),
            hold(at=T2, **(OF_STUDY | {"placer": "P1"}), **OF_NEW),
        ],
        [],
    ),
    "a merge, then two that have nothing in common but the study": (
        [
            adt("A40", at=T1, patient=NEW, name="N^X", prior=OLD),
            orm(control="RL", control_id="RL", at=T1, **(OF_STUDY | {"placer": "P1"}), **OF_OLD),
            orm(at=T2, placer="", **OF_NEW),
            cancel(**PLACED, **OF_NEW),
        ],
        [],
    ),
    "two changes of id": (
        [
            orm(patient="OLDER^^^HOSP"),
            adt("A47", control_id="1", at=T1, patient=OLD, prior="OLDER^^^HOSP"),
            adt("A47", control_id="2", at=T2, patient=NEW, prior=OLD),
            cancel(**OF_NEW),
        ],
        [],
    ),
    "numbers of which a third message makes one order": (
        [orm(**PLACED), cancel(at=T1, **FILLED), orm(control="SC", control_id="2", **BOTH)],
        [],
    ),
    "numbers of which a study makes one order": (
        [orm(placer=""), orm(control="RL", control_id="RL", at=T1, **(OF_STUDY | {"placer": "P1"})), cancel(**PLACED)],
        [],
    ),
    "a study that is stated after one was given out": (
        [
            orm(study_uid="", placer=""),
            orm(control="XO", control_id="XO", at=T1, placer=""),
            orm(control="RL", control_id="RL", at=T2, **(OF_STUDY | {"placer": "P1"})),
            cancel(**PLACED),
        ],
        [],
    ),
    "an order with a number that is assigned": (
        [orm(control="SN", **FILLED), orm(control="NA", control_id="2", at=T1, **BOTH), cancel(**PLACED)],
        [],
    ),
    "a cancelled appointment": ([orm(), appointment("S15", "20301124093000", "S15", at=T1)], []),
    "an appointment whose own number is not the order's": (
        [
            orm(placer="", study_uid=""),
            appointment("S12", "20301127110000", "S12", at=T1).replace(
                b"SCH|P1|F1||||||||||1^^^20301127110000", b"SCH|P9|||||||||||1^^^20301127110000" + b"|" * 15 + b"F1"
            ),
            cancel(filler=""),
        ],
        [],
    ),
    "an order whose accession number a status tells": (
        [orm(placer="", accession="", study_uid=""), orm(control="SC", control_id="SC", at=T1, placer="")],
        ["ACC1 PAT1"],
    ),
    "a cancel by an accession number that a change tells": (
        [
            orm(filler="", accession="", study_uid=""),
            orm(control="XO", control_id="XO", at=T1, study_uid=""),
            cancel(placer="", filler="", study_uid="", procedure="", step=""),
        ],
        [],
    ),
    "an appointment of a cancelled order": (
        [orm(), cancel(at=T1), appointment("S12", "20301127110000", "S12", T2)],
        [],
    ),
    "an appointment that is made again": (
        [orm(), appointment("S15", "20301124093000", "S15", T1), appointment("S12", "20301124093000", "S12", T2)],
        ["ACC1 PAT1"],
    ),
    "a cancelled appointment of a cancelled order": (
        [orm(), appointment("S15", "20301124093000", "1", T1), cancel(at=T2), appointment("S12", "20301124", "2", T3)],
        [],
    ),
    "a procedure whose id is stated later": (
        [orm(control="XO", at=T2, procedure="RP2", step="SPS2", study_uid=""), TWO_PROCEDURES],
        ["ACC1 PAT1", "ACC1 PAT1"],
    ),
    "a change of two steps without accession number": (
        [orm(study_uid="", step="S1", more=step("NW", "S2")), TWO_CHANGED],
        ["ACC1 PAT1", "ACC1 PAT1"],
    ),
    "a change of two steps whose second group states fewer numbers": (
        [
            orm(placer="", accession="", study_uid="", step="S1", more=step("NW", "S2", placer="", filler="F1")),
            orm(control="XO", at=T2, study_uid="", step="S1", more=step("XO", "S2", at=T2)),
        ],
        ["ACC1 PAT1", "ACC1 PAT1"],
    ),
    "a change of two steps whose first group states fewer numbers": (
        [
            orm(study_uid="", step="S1", more=step("NW", "S2", filler="F1", accession="ACC1")),
            orm(
                control="XO",
                at=T2,
                study_uid="",
                step="S1",
                accession="",
                filler="",
                more=step("XO", "S2", at=T2, filler="F1", accession="ACC1"),
            ),
        ],
        ["ACC1 PAT1", "ACC1 PAT1"],
    ),
    "a change of two steps of which one states the study": (
        [TWO_OF_A_STUDY, orm(control="XO", at=T2, step="S1", more=step("XO", "S2", at=T2, accession="ACC1"))],
        ["ACC1 PAT1", "ACC1 PAT1"],
    ),
    "a number that is learned from a hold": (
        [orm(**(PLACED | {"procedure": "RP1"})), hold(at=T1), orm(control_id="2", at=T2, placer="", filler="")],
        [],
    ),
    "a replacement of what has a filler order number only": (
        [orm(**OF_FILLER), with_orc_8(orm(control="RO", control_id="RO", at=T2, **SECOND), "^F1")],
        ["ACC2 PAT1"],
    ),
    "a parent that has a filler order number only": (
        [orm(control="PA", **OF_FILLER), with_orc_8(orm(control="CH", at=T1, **SECOND), "^F1"), cancel(**OF_FILLER)],
        [],
    ),
    "a stranger's cancel of a parent": (
        [orm(control="PA"), child(), cancel(patient="OLDER^^^HOSP")],
        ["ACC2 PAT1"],
    ),
    "a cancel of a parent under the id into which its patient is merged": (
        [child(**OF_OLD), adt("A47", at=T2, patient=NEW, name="N^X", prior=OLD), cancel(**OF_NEW)],
        [],
    ),
    "two changes of id of a child's patient, and its order under the last": (
        [
            child(patient="OLDER^^^HOSP", study_uid=""),
            adt("A47", control_id="1", at=T2, patient=OLD, prior="OLDER^^^HOSP"),
            adt("A47", control_id="2", at=T3, patient=NEW, prior=OLD),
            orm(control_id="2", at=T4, **(SECOND | {"study_uid": ""} | OF_NEW)),
        ],
        ["ACC2 NEW"],
    ),
    "an appointment that is made again of an order on hold": (
        [orm(), hold(at=T1), appointment("S15", "20301124", "1", T2), appointment("S12", "20301124", "2", T3)],
        [],
    ),
}


SEEN = ("SCHEDULED", "ARRIVED", "READY")
ORDERS_OF_A_STORY = 100
"""Stories have numbers so far apart: none has more orders of arrival."""
FEW = dict.fromkeys(("sqlite", "postgresql"), 100) if "FAULTS" in os.environ else {"sqlite": 8, "postgresql": 2}


async def arrived(intake: Intake, messages: Sequence[bytes], story: int, few: int) -> dict[Sequence[int], Any]:
    """By the order of arrival: the acknowledgements, and accession numbers and patients of what scanners see. Of more
    than `few` orders of arrival some are taken."""
    every = list(permutations(range(len(messages))))
    chosen = dict(enumerate(every[:: max(1, len(every) // few)], story * ORDERS_OF_A_STORY))
    answers = {
        number: await intake.outcomes(*(apart(messages[one], number) for one in order))
        for number, order in chosen.items()
    }
    items = await shown(intake.store)
    return {order: ({*answers[number]}, sorted(items.get(number, []))) for number, order in chosen.items()}


async def shown(store: Store) -> dict[int, list[tuple[str, str, str]]]:
    """Accession number, Patient ID and name of what scanners see, by the number that sets messages apart."""
    wanted = (
        select(orders.c.accession, patients.c.patient_id, patients.c.attributes)
        .join(patients, patients.c.id == orders.c.patient)
        .join(procedures, procedures.c.order == orders.c.id)
        .join(steps_table, steps_table.c.procedure == procedures.c.id)
        .where(steps_table.c.state.in_(SEEN))
    )
    found: dict[int, list[tuple[str, str, str]]] = {}
    for accession, patient, attributes in await store.read(lambda connection: connection.execute(wanted).all()):
        bare, number = accession.split("X")
        found.setdefault(int(number), []).append((bare, patient.split("X")[0], attributes["PatientName"]))
    return found


@shared
@pytest.mark.parametrize("story", STORIES)
async def test_every_order_of_arrival_shows_the_same(shared_intake: Intake, story: str) -> None:
    """Of four messages some orders; PostgreSQL, for whom nothing is decided here, gets two. `make faults`: all."""
    messages, expected = STORIES[story]
    few = FEW[shared_intake.store.engine.dialect.name]
    got = await arrived(shared_intake, messages, [*STORIES].index(story), few)
    seen = {order: (answers, [f"{one[0]} {one[1]}" for one in items]) for order, (answers, items) in got.items()}
    assert seen == dict.fromkeys(got, ({"AA"}, expected))


MERGE = adt("A40", at=T1, patient=NEW, name="MERGED^X", prior=OLD)
MERGES: dict[str, tuple[Sequence[bytes], str]] = {
    "a correction under the former id": (
        [orm(**OF_OLD), MERGE, adt("A08", at=T2, patient=OLD, name="NEWEST^X")], "NEWEST^X"
    ),
    "a correction under the id that stays": (
        [orm(**OF_OLD), MERGE, adt("A08", at=T2, patient=NEW, name="NEWEST^X")], "NEWEST^X"
    ),
    "a chain": (
        [
            orm(patient="OLDER^^^HOSP"),
            adt("A40", control_id="1", at=T1, patient=OLD, name="B^X", prior="OLDER^^^HOSP"),
            adt("A40", control_id="2", at=T2, patient=NEW, name="C^X", prior=OLD),
        ],
        "C^X",
    ),
    "a change of id to one that only later messages name": (
        [
            adt("A40", control_id="1", at=T1, patient=OLD, name="B^X", prior="OLDER^^^HOSP"),
            orm(at=T2, patient="OLDER^^^HOSP"),
            adt("A47", at=T3, patient=NEW, name="C^X", prior="OTHER^^^HOSP"),
            adt("A40", control_id="2", at=T4, patient=NEW, name="D^X", prior=OLD),
        ],
        "D^X",
    ),
}  # fmt: skip


@shared
@pytest.mark.parametrize("story", MERGES)
async def test_every_order_of_merges_and_corrections_shows_the_same_name(shared_intake: Intake, story: str) -> None:
    messages, name = MERGES[story]
    got = await arrived(shared_intake, messages, len(STORIES) + [*MERGES].index(story), ORDERS_OF_A_STORY)
    assert got == dict.fromkeys(got, ({"AA"}, [("ACC1", "NEW", name)]))


@sqlite
async def test_what_waits_under_two_numbers_waits_on_when_a_message_makes_one_order_of_them(start: Start) -> None:
    """The numbers are an order of the former Patient ID, of which it is not known yet that it is one."""
    messages = [
        orm(**OF_OLD),
        orm(control="XO", control_id="1", at=T2, filler="", accession="", **OF_NEW),
        orm(control="RL", control_id="2", at=T2, **FILLED, **OF_NEW),
        orm(control="XO", control_id="3", at=T3, **OF_NEW),
        adt("A47", at=T1, patient=NEW, name="N^X", prior=OLD),
    ]
    async with start() as gateway:
        assert await outcomes(gateway, *messages) == ["AA"] * 5
        assert await states(gateway) == ["SCHEDULED"]
        assert await names(gateway) == [("NEW", "N^X")]


@sqlite
async def test_what_waits_under_a_study_does_not_keep_it_from_an_order(start: Start) -> None:
    """A cancel with another order's numbers and, by mistake, this one's study."""
    async with start() as gateway:
        assert await outcomes(gateway, cancel(placer="P2", filler="F2", accession="ACC2"), orm()) == ["AA", "AA"]
        assert await states(gateway) == ["SCHEDULED"]


@sqlite
async def test_a_new_id_that_was_in_use_before_its_change_is_refused(start: Start) -> None:
    """In whatever order they come: the new id is another patient's."""
    async with start() as gateway:
        change = adt("A47", control_id="2", at=T2, patient=NEW, prior=OLD)
        assert await outcomes(gateway, adt("A04", at=T1, patient=NEW), change) == ["AA", "AE"]
        ended = adt("A47", control_id="3", at=T3, patient="LAST^^^HOSP", prior=NEW)
        assert await outcomes(gateway, ended, change) == ["AA", "AE"]


# The first and the second 02:10 and 02:50 of the night in which summer time ends, in the zone of the tests' site.
NIGHT = [("20261025025000", "2026-10-25T00:50:03+00:00"), ("20261025021000", "2026-10-25T01:10:02+00:00")]


@sqlite
@pytest.mark.parametrize(("second", "expected"), [("CA", ["CANCELED"]), ("XO", ["SCHEDULED"])])
async def test_the_hour_that_comes_twice(database_url: str, clock: Time, second: str, expected: list[str]) -> None:
    """An order at the first 02:50, a message about it at the second 02:10; a cancel between them."""
    site = Site(name="Test site", patient_id_issuer="HOSP", timezone="Europe/Berlin")
    (ordered, ordered_at), (moved, moved_at) = NIGHT
    messages = [(orm(at=ordered), ordered_at), (orm(control=second, control_id="3", at=moved), moved_at)]
    if second == "XO":
        messages.insert(1, (orm(control="CA", control_id="2", at="20261025025500"), "2026-10-25T00:55:00+00:00"))
    async with app.running(config_of(database_url, site=site), clock=clock) as gateway:
        for message, at in messages:
            clock.now = round(datetime.fromisoformat(at).timestamp() * 1e6)
            assert await outcomes(gateway, message) == ["AA"]
        assert await states(gateway) == expected
