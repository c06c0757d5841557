"""A patient is erased: nothing of the patient is in any table or file, and nothing of others is gone."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.order_checks import OrderChecks
from gateway.config.studies import Studies
from gateway.errors import Conflict, InvalidValue, UnknownKey
from gateway.operations.erase import Erasure, plan, resumed
from gateway.operations.hold import HoldDecision, hold
from gateway.records.legal_hold import HoldOn, LegalHold
from gateway.records.order_check import CheckPolicy
from gateway.records.patient import Identity
from gateway.simulators.ehr import EhrSimulator
from gateway.store import Store, erasing, erasures, outbox_listing, refusals, searching
from gateway.store.engine import sqlite_file
from gateway.store.schema import metadata, orders
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import adt, orm
from tests.journey.modality import begin, end, item, modality_of
from tests.journey.running import Start, quiet
from tests.journey.test_study_arrival import sample, send
from tests.operations.test_retention import counts
from tests.peers.dcmtk import findscu

ONE = {"patient": "GEHEIM-4711", "name": "GEHEIMRAT^ODA", "accession": "ACC471100", "uid": "1.2.47110.1"}
OTHER = {"patient": "BLEIBT-0815", "name": "BLEIBTREU^UDO", "accession": "ACC081500", "uid": "1.2.8150.1"}
SECRETS = ("GEHEIM-4711", "GEHEIMRAT", "ACC471100", "1.2.47110.1", "P471100", "F471100", "1.3.47110")
WHO = Identity("GEHEIM-4711", "HOSP")
sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""The statements are those of the whole erasure, which both databases do."""


def image(who: dict[str, str]) -> Any:
    dataset: Any = sample()
    dataset.PatientID, dataset.PatientName = who["patient"], who["name"]
    dataset.IssuerOfPatientID, dataset.AccessionNumber = "HOSP", who["accession"]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = who["uid"], f"{who['uid']}.5"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{who['uid']}.5.6"
    return dataset


async def lived(gateway: app.Running, who: dict[str, str]) -> None:
    """An order with ADT, a query, an examination, images, and messages that were not applied."""
    number = who["accession"].removeprefix("ACC")
    patient = f"{who['patient']}^^^HOSP"
    order = partial(
        orm, patient=patient, name=who["name"], placer=f"P{number}", filler=f"F{number}", accession=who["accession"],
        study_uid=who["uid"], start="20301123090000", step=f"S{number}", procedure=f"R{number}",
    )  # fmt: skip
    async with MllpClient("127.0.0.1", next(iter(gateway.hl7_ports.values()))) as ris:
        await ris.send(adt("A08", patient=patient, name=who["name"], control_id=f"A{number}"))
        await ris.send(order(control_id=number))
        await ris.send(order(control_id=f"X{number}", modality="XYZ1", placer=f"P{number}9", filler=f"F{number}9"))
    await findscu(gateway.dicom_port, f"PatientID={who['patient']}", "PatientName", "AccessionNumber")
    modality = modality_of(gateway)
    stated = begin(item(who["uid"], who["accession"], f"R{number}", f"S{number}"))
    stated.PatientID, stated.PatientName, stated.IssuerOfPatientID = who["patient"], who["name"], "HOSP"
    performed = who["uid"].replace("1.2.", "1.3.")
    assert (await modality.create(stated, performed)).status == 0
    assert (await modality.set(end(), performed)).status == 0
    assert await send(gateway, image(who)) == [0]
    body = f"NO|{who['patient']}|{who['name']}".encode()
    await refusals.keep(gateway.store, "a message", refused_at=now(), source="ris", reason="unreadable", body=body)
    await quiet(gateway)


def contents(connection: Connection) -> dict[str, list[str]]:
    """All rows of all tables but the audit trail, as text; bytes that are deflated are inflated."""
    rows: dict[str, list[str]] = {}
    for name, table in metadata.tables.items():
        if not name.startswith("audit"):
            rows[name] = [
                " ".join(
                    searching._bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
                    for value in row
                )
                for row in connection.execute(select(table))
            ]
    return rows


def naming(rows: dict[str, list[str]], *values: str) -> Counter[str]:
    """Table -> rows that hold any of `values`."""
    found = {name: sum(any(one in row for one in values) for row in some) for name, some in rows.items()}
    return +Counter(found)


def erasure(store: Store, targets: Any, url: str) -> Erasure:
    return Erasure(store, targets, "anna", "request of 3 May", now, file=sqlite_file(url))


async def test_nothing_of_the_patient_is_left_in_any_table_or_file(
    start: Start, database_url: str, tmp_path: Path
) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await lived(gateway, ONE)
        await lived(gateway, OTHER)
        before = await gateway.store.read(contents)
        others = naming(before, *OTHER.values())
        assert naming(before, *SECRETS).keys() >= {
            "messages", "message_numbers", "patients", "orders", "procedures", "performed_steps", "studies", "series",
            "instances", "outbox", "ehr_resources", "queries", "refusals",
        }  # fmt: skip
        planned = await plan(gateway.store, WHO)
        assert naming(await gateway.store.read(contents), *SECRETS) == naming(before, *SECRETS), (
            "a plan changes nothing"
        )
        assert planned.deleted["messages"] == 3
        assert planned.found == {"queries": 1, "refusals": 1}
        assert [(one.what.split("/")[0], one.cure) for one in planned.outside] == [
            ("EHR ehr0 holds ImagingStudy", "gateway withdraw 1.2.47110.1, before the erasure")
        ]
        assert planned.audited

        erased = await erasure(gateway.store, planned.targets, database_url).run()
        assert erased.proof.left == []
        assert erased.proof.is_clean, erased.proof.files
        assert erased.proof.rows_read > 20
        after = await gateway.store.read(contents)
        assert naming(after, *SECRETS) == {}
        assert naming(after, *OTHER.values()) == others, "nothing of another patient is gone"
        [kept] = after["erasures"]
        assert "request of 3 May" in kept
        await lived(gateway, ONE)
        again = await gateway.store.read(contents)
        assert naming(again, "ACC471100")["orders"] == naming(again, "ACC471100")["studies"] == 1, "it comes as new"
        assert len([one for one in ehr.resources("ImagingStudy") if "1.2.47110.1" in str(one["identifier"])]) == 1
    if sqlite_file(database_url) is not None:
        assert erased.proof.files.keys() >= {f"{tmp_path}/gateway.db"}


@pytest.mark.parametrize(
    ("database_url", "policy"), [("sqlite", "hold"), ("postgresql", "warn")], indirect=["database_url"]
)
async def test_nothing_is_left_of_what_the_images_of_another_stated_differently(
    start: Start, database_url: str, policy: str
) -> None:
    """The images of the other patient had the accession number of the order."""
    section = Studies(quiet_seconds=0.1, order_checks=OrderChecks(patient_id=CheckPolicy(policy)))
    async with EhrSimulator() as ehr, start(ehr.url, studies=section) as gateway:
        await lived(gateway, ONE)
        assert await send(gateway, image({**OTHER, "accession": ONE["accession"]})) == [0]
        await quiet(gateway)
        assert naming(await gateway.store.read(contents), ONE["patient"])["order_conflicts"] == 1
        planned = await plan(gateway.store, WHO)
        erased = await erasure(gateway.store, planned.targets, database_url).run()
        # The accession number stands in the header of the other's images.
        assert {one.split()[0] for one in erased.proof.left} <= {"studies", "instances", "outbox", "imaging_studies"}
        await quiet(gateway)
        after = naming(await gateway.store.read(contents), ONE["patient"], "GEHEIMRAT")
        assert after == {}
        assert len([one for one in ehr.resources("ImagingStudy") if OTHER["uid"] in str(one["identifier"])]) == 1
        assert await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked",))) == []


def _empty(connection: Connection, table: str) -> int:
    return connection.execute(metadata.tables[table].delete()).rowcount


@sqlite
async def test_no_byte_of_the_patient_is_left_in_the_files(start: Start, database_url: str, tmp_path: Path) -> None:
    """What the audit trail keeps by law is taken away first: then no file of the folder holds a number or the name."""
    async with start() as gateway:
        await lived(gateway, ONE)
        targets = (await plan(gateway.store, WHO)).targets
        assert any(b"GEHEIM-4711" in one.read_bytes() for one in tmp_path.iterdir())
        await erasure(gateway.store, targets, database_url).run()
        for table in ("audit_waiting", "audit_patients", "audit"):
            await gateway.store.write(partial(_empty, table=table))
        erased = await erasure(gateway.store, targets, database_url).run()
        assert set(erased.proof.files.values()) == {0}
        data = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()}
    assert {name for name, some in data.items() for one in SECRETS if one.encode() in some} == set()


@sqlite
async def test_a_legal_hold_forbids_it(start: Start, database_url: str) -> None:
    async with start() as gateway:
        await lived(gateway, ONE)
        held = LegalHold(HoldOn.ACCESSION, ONE["accession"])
        decision = HoldDecision("anna", "case", now())
        await gateway.store.write(lambda connection: hold(connection, held, decision))
        planned = await plan(gateway.store, WHO)
        assert planned.holds == ("accession ACC471100",)
        with pytest.raises(Conflict, match="legal hold"):
            await erasure(gateway.store, planned.targets, database_url).run()
        assert naming(await gateway.store.read(contents), "ACC471100")["orders"] == 1


async def test_two_patients_of_one_number_are_told_apart_by_the_issuer(start: Start, database_url: str) -> None:
    async with start() as gateway:
        async with MllpClient("127.0.0.1", next(iter(gateway.hl7_ports.values()))) as ris:
            await ris.send(orm(patient="SAME-1^^^HOSP", placer="P-77001", filler="F-77001", accession="ACC77001"))
            await ris.send(orm(patient="SAME-1^^^CLINIC", placer="P-77002", filler="F-77002", accession="ACC77002",
                               control_id="2", study_uid="1.2.77002", name="ANDERE^ANNA"))  # fmt: skip
        with pytest.raises(InvalidValue, match="several patients have it: name the issuer"):
            await plan(gateway.store, Identity("SAME-1", ""))
        with pytest.raises(UnknownKey):
            await plan(gateway.store, Identity("NOBODY-1", ""))
        planned = await plan(gateway.store, Identity("SAME-1", "CLINIC"))
        await erasure(gateway.store, planned.targets, database_url).run()
        kept = await gateway.store.read(lambda c: c.execute(select(orders.c.accession)).scalars().all())
        assert kept == ["ACC77001"]


@sqlite
async def test_an_erasure_that_was_killed_is_brought_to_its_end(
    start: Start, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await lived(gateway, ONE)
        targets = (await plan(gateway.store, WHO)).targets
        units = 0

        def cut(connection: Connection, targets: Any) -> Counter[str]:
            nonlocal units
            units += 1
            if units > 2:
                raise KeyError("killed")
            return whole(connection, targets)

        whole = erasing.erase_some
        monkeypatch.setattr("gateway.operations.erase.erasing.erase_some", cut)
        with pytest.raises(KeyError):
            await erasure(gateway.store, targets, database_url).run()
        monkeypatch.undo()
        assert len(await gateway.store.read(erasures.unfinished)) == 1
        [begun] = await resumed(gateway.store, now, file=sqlite_file(database_url))
        erased = await begun.run()
        assert erased.proof.left == []
        assert naming(await gateway.store.read(contents), *SECRETS) == {}
        assert erased.deleted["orders"] == erased.deleted["studies"] == 1, "counted over both parts"
        assert await resumed(gateway.store, now) == []
        assert (await gateway.store.read(counts))["erasures"] == 1
