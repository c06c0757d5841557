"""A study that states something else than its order is held, shown with both sides, and released for a reason; a
study without an order is listed, and linked when the order comes."""

from __future__ import annotations

from typing import Any

import aiohttp
import pydicom

from gateway.assembly.process import Running
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import OrderStanding
from gateway.simulators.ehr import EhrSimulator
from gateway.store import order_conflicts, outbox_listing, studies
from tests.journey.messages import adt, apart, orm
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_audit import events
from tests.journey.test_scheduling import outcomes
from tests.journey.test_study_arrival import sample, send

UID = str(sample().StudyInstanceUID)


def images(**changes: Any) -> pydicom.Dataset:
    dataset = sample()
    values = {"PatientID": "PAT1", "PatientName": "MUSTER^MAX", "PatientBirthDate": "19800102", "PatientSex": "M"}
    for keyword, value in (values | changes).items():
        setattr(dataset, keyword, value)
    return dataset


async def ordered(gateway: Running, *messages: bytes) -> None:
    assert {*await outcomes(gateway, *messages)} == {"AA"}
    await quiet(gateway)


async def arrived(gateway: Running, *datasets: pydicom.Dataset) -> None:
    await send(gateway, *datasets)
    await quiet(gateway)


async def asked(gateway: Running, method: str, path: str, **fields: str) -> Any:
    address = f"http://127.0.0.1:{gateway.http_port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, address, params=fields) as response:
        answer = await (response.json() if path.startswith("/api") else response.text())
        assert response.status == 200, answer
    await quiet(gateway)
    return answer


async def parked(gateway: Running) -> list[dict[str, Any]]:
    return await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked",)))


async def standing(gateway: Running, uid: str = UID) -> str:
    row = await gateway.store.read(lambda one: studies.get(one, StudyInstanceUID(uid)))
    assert row is not None
    return str(row["order_standing"])


async def test_another_patient_holds_until_a_person_releases(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(patient="OTHER^^^HOSP", study_uid=UID))
        await arrived(gateway, images())
        assert ehr.resources("ImagingStudy") == []
        [row] = await parked(gateway)
        assert (row["outcome"]["place"], row["outcome"]["conflicts"]) == ("PatientID", ["patient_id"])
        # What a row of the outbox keeps names no patient.
        assert "OTHER" not in str(row["outcome"])
        listed = await asked(gateway, "GET", "/api/studies", order="held")
        assert [one["study_uid"] for one in listed["studies"]] == [UID]
        detail = await asked(gateway, "GET", f"/api/studies/{UID}")
        [conflict] = detail["conflicts"]
        assert (conflict["images"], conflict["ordered"], conflict["released"]) == ("PAT1", "OTHER of HOSP", None)
        shown = await asked(gateway, "GET", "/api/journey/ACC1")
        texts = [one["text"] for one in shown["events"] if one["level"] == "bad"]
        differs = "patient id (hold): 'PAT1' in the images, 'OTHER of HOSP' in order"
        assert any(differs in text for text in texts), texts
        page = await asked(gateway, "GET", f"/studies/{UID}")
        assert [one in page for one in ("Images and order differ", "OTHER of HOSP", "/release")] == [True] * 3
        assert 'gateway_studies_with_order{standing="held"} 1.0' in await asked(gateway, "GET", "/metrics")

        await asked(gateway, "POST", f"/api/studies/{UID}/release", note="asked the ward", person="night")
        [resource] = ehr.resources("ImagingStudy")
        assert resource["subject"]["identifier"]["value"] == "PAT1"
        assert "basedOn" not in resource
        assert await standing(gateway) == OrderStanding.DIFFERS
        notes = [one.note for one in await events(gateway)]
        assert "released although these differ from the order: patient_id: asked the ward" in notes

        # Only this difference was released.
        await arrived(gateway, images(PatientBirthDate="19700101"))
        [row] = await parked(gateway)
        assert row["outcome"]["conflicts"] == ["birth_date"]
        assert await standing(gateway) == OrderStanding.HELD


@sqlite
async def test_a_correction_of_the_patient_s_data_releases_by_itself(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(study_uid=UID))
        await arrived(gateway, images(PatientBirthDate="19810102"))
        assert (ehr.resources("ImagingStudy"), await standing(gateway)) == ([], OrderStanding.HELD)
        await ordered(gateway, adt("A08", birth="19810102", at="20260124120000"))
        [resource] = ehr.resources("ImagingStudy")
        assert [one["identifier"]["value"] for one in resource["basedOn"]] == ["ACC1"]
        assert (await parked(gateway), await standing(gateway)) == ([], OrderStanding.LINKED)
        found = await gateway.store.read(lambda one: order_conflicts.of_study(one, StudyInstanceUID(UID)))
        assert [one.ended_at is not None for one in found] == [True]


@sqlite
async def test_a_merge_of_the_two_patients_releases_by_itself(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(patient="OTHER^^^HOSP", study_uid=UID))
        await arrived(gateway, images(IssuerOfPatientID="HOSP"))
        assert ehr.resources("ImagingStudy") == []
        await ordered(gateway, adt("A40", patient="OTHER^^^HOSP", prior="PAT1^^^HOSP", at="20260124120000"))
        [resource] = ehr.resources("ImagingStudy")
        assert resource["subject"]["identifier"]["value"] == "OTHER"
        assert await standing(gateway) == OrderStanding.LINKED


@sqlite
async def test_corrected_images_release_by_themselves(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(study_uid=UID))
        await arrived(gateway, images(PatientID="TYPO"))
        assert ehr.resources("ImagingStudy") == []
        await arrived(gateway, images())
        assert len(ehr.resources("ImagingStudy")) == 1
        assert await standing(gateway) == OrderStanding.LINKED


@sqlite
async def test_a_person_links_another_order(start: Start) -> None:
    """The console had the wrong entry of the worklist; the right order is the patient's own."""
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(patient="OTHER^^^HOSP", study_uid=UID))
        more = orm(control_id="M2", study_uid="1.2.9", accession="ACC2", placer="P2", filler="F2", procedure="RP2")
        await ordered(gateway, more)
        await arrived(gateway, images())
        [conflict] = (await asked(gateway, "GET", f"/api/studies/{UID}"))["conflicts"]
        await asked(gateway, "POST", f"/api/studies/{UID}/unlink", order=str(conflict["order"]), note="wrong entry")
        await asked(gateway, "POST", f"/api/studies/{UID}/link", accession="ACC2", note="the right one")
        [resource] = ehr.resources("ImagingStudy")
        assert [one["identifier"]["value"] for one in resource["basedOn"]] == ["ACC2"]
        assert await standing(gateway) == OrderStanding.LINKED
        assert "taken away" in await asked(gateway, "GET", f"/studies/{UID}")


@sqlite
async def test_the_name_of_the_order_goes_out(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(name="Müller^Jörg", study_uid=UID))
        await arrived(gateway, images(PatientName="M?ller^Jorg"))
        [resource] = ehr.resources("ImagingStudy")
        assert resource["subject"]["display"] == "Jörg Müller"
        assert await standing(gateway) == OrderStanding.LINKED


@sqlite
async def test_a_difference_that_warns_is_a_finding(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(study_uid=UID, modality="MR"))
        await arrived(gateway, images(PatientName="MEIER^EVA"))
        [resource] = ehr.resources("ImagingStudy")
        assert len(resource["basedOn"]) == 1
        detail = await asked(gateway, "GET", f"/api/studies/{UID}")
        assert {one["place"] for one in detail["findings"]} >= {"PatientName", "Modality"}
        assert await standing(gateway) == OrderStanding.DIFFERS


def of_accession(number: str) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.AccessionNumber = number
    return item


WAYS: list[tuple[str, dict[str, Any], str]] = [
    ("the Study Instance UID", {}, "1.2.60.0"),
    ("the accession number", {"AccessionNumber": "ACC1X1"}, ""),
    ("the request attributes of a series", {"RequestAttributesSequence": [of_accession("ACC1X2")]}, ""),
    ("an empty Patient ID", {"AccessionNumber": "ACC1X3", "PatientID": ""}, ""),
]
"""By what study and order are one, what the images state (numbers as in `apart`), the order's Study Instance UID."""


@sqlite
async def test_a_study_is_listed_and_linked_when_its_order_comes(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        for number, (way, changes, study_uid) in enumerate(WAYS):
            uid = f"1.2.60.{number}"
            own = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", "SOPInstanceUID": f"{uid}.1.1"}
            dataset = images(**own, **{"PatientID": f"PAT1X{number}"} | changes)
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            await arrived(gateway, dataset)
            if changes.get("PatientID") != "":
                assert await standing(gateway, uid) == OrderStanding.UNMATCHED, way
                listed = await asked(gateway, "GET", "/api/studies", order="unmatched")
                assert [one["study_uid"] for one in listed["studies"]] == [uid], way
            await ordered(gateway, apart(orm(study_uid=study_uid), number))
            resource = next(one for one in ehr.resources("ImagingStudy") if f"urn:oid:{uid}" in str(one["identifier"]))
            assert resource["subject"]["identifier"]["value"] == f"PAT1X{number}", way
            assert [one["identifier"]["value"] for one in resource["basedOn"]] == [f"ACC1X{number}"], way
            assert (await standing(gateway, uid), await parked(gateway)) == (OrderStanding.LINKED, []), way


@sqlite
async def test_a_study_that_is_held_can_be_withdrawn(start: Start) -> None:
    """It was delivered before its order came, which is another patient's."""
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await arrived(gateway, images(AccessionNumber="ACC1"))
        await ordered(gateway, orm(patient="OTHER^^^HOSP", study_uid=""))
        assert await standing(gateway) == OrderStanding.HELD
        await asked(gateway, "POST", f"/api/studies/{UID}/withdraw", note="another patient's")
        [resource] = ehr.resources("ImagingStudy")
        assert (resource["status"], await parked(gateway)) == ("entered-in-error", [])
        await asked(gateway, "POST", f"/api/studies/{UID}/withdraw/undo")
        assert (await standing(gateway), len(await parked(gateway))) == (OrderStanding.HELD, 1)


@sqlite
async def test_a_study_of_two_patients_can_be_withdrawn(start: Start) -> None:
    other = images(PatientID="PAT2", SOPInstanceUID=f"{UID}.2")
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await arrived(gateway, images())
        await arrived(gateway, other)
        [row] = await parked(gateway)
        assert row["outcome"]["place"] == "PatientID"
        await asked(gateway, "POST", f"/api/studies/{UID}/withdraw", note="of two patients")
        [resource] = ehr.resources("ImagingStudy")
        assert (resource["status"], await parked(gateway)) == ("entered-in-error", [])


@sqlite
async def test_images_without_patient_id_whose_name_differs_are_held(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(study_uid=""))
        await arrived(
            gateway, images(PatientID="", PatientBirthDate="", PatientName="SCHMIDT^EVA", AccessionNumber="ACC1")
        )
        assert (ehr.resources("ImagingStudy"), await standing(gateway)) == ([], OrderStanding.HELD)


@sqlite
async def test_images_without_patient_id_and_orders_of_two_wait_for_a_person(start: Start) -> None:
    """Who links one of them names the patient; the other order is not linked."""
    nobody = images(PatientID="", PatientBirthDate="", PatientName="", AccessionNumber="ACC1")
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await ordered(gateway, orm(study_uid="1.2.8"))
        other = {"patient": "OTHER^^^HOSP", "placer": "P2", "filler": "F2", "procedure": "RP2"}
        await ordered(gateway, orm(control_id="M2", study_uid="1.2.9", **other))
        await arrived(gateway, nobody)
        [row] = await parked(gateway)
        assert (ehr.resources("ImagingStudy"), row["outcome"]["place"]) == ([], "PatientID")
        assert row["outcome"]["error"].endswith("its orders are of 2 patients: link it with the right one")
        assert f"/api/studies/{UID}/link" in await asked(gateway, "GET", f"/studies/{UID}")
        found = (await asked(gateway, "GET", "/api/orders", accession="ACC1"))["orders"]
        wanted = next(one["id"] for one in found if one["patient"]["patient_id"] == "OTHER")
        await asked(gateway, "POST", f"/api/studies/{UID}/link", order=str(wanted), note="seen on the images")
        [resource] = ehr.resources("ImagingStudy")
        assert resource["subject"]["identifier"]["value"] == "OTHER"
        assert len(resource["basedOn"]) == 1
        detail = await asked(gateway, "GET", f"/api/studies/{UID}")
        assert [one["id"] for one in detail["orders"]] == [wanted]


@sqlite
async def test_an_order_of_another_patient_that_comes_late_holds_what_follows(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await arrived(gateway, images(AccessionNumber="ACC1"))
        assert len(ehr.resources("ImagingStudy")) == 1
        await ordered(gateway, orm(patient="OTHER^^^HOSP", study_uid=""))
        assert await standing(gateway) == OrderStanding.HELD
        assert len(await parked(gateway)) == 1
