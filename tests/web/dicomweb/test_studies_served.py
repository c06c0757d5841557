"""To whom studies are served over DICOMweb, which instances are not, and what a retrieval answers without pixels."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless
from sqlalchemy import insert, select, text, update

from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.dicom import Dicom, DicomPeer
from gateway.config.dicomweb import DicomWebSection
from gateway.config.http import Http
from gateway.operations.people import tokens
from gateway.records.person import Role
from gateway.records.rejection import KEY_OBJECT_SELECTION
from gateway.store import served_instances
from gateway.store.schema import audit, instances, pixel_files
from gateway.wire.dicomweb import multipart, native_xml
from tests.conftest import comes_true
from tests.journey.running import Start
from tests.journey.test_exclusions import change
from tests.journey.test_image_forwarding import forwarding, send
from tests.web.browsing import OWNER
from tests.web.dicomweb.client import Client, basic, client_of
from tests.web.dicomweb.studies import FILES, ROOT, XML_PARTS, found, image

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TOKEN, PASSCODE = "console-token", "of-ct1"


def rejection_note(rejected: Dataset) -> Dataset:
    """A Key Object Selection that rejects an image for quality reasons (CID 7011)."""
    note = image(1, 9, 1, Modality="KO", SOPClassUID=KEY_OBJECT_SELECTION)
    del note.PixelData
    title, item, series, study = Dataset(), Dataset(), Dataset(), Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "113001", "DCM", "Rejected for Quality Reasons"
    note.ConceptNameCodeSequence = [title]
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = rejected.SOPClassUID, rejected.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = rejected.SeriesInstanceUID, [item]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = rejected.StudyInstanceUID, [series]
    note.CurrentRequestedProcedureEvidenceSequence = [study]
    return note


async def counted(client: Client) -> list[Any]:
    """Modalities, series and instances of the first study."""
    [study] = (await client.ask("GET", "/studies?PatientID=P1")).json
    return [study[tag]["Value"] for tag in ("00080061", "00201206", "00201208")]


async def test_what_is_excluded_or_rejected_is_not_served(start: Start, tmp_path: Path) -> None:
    images = [image(1, 1, number) for number in (1, 2, 3)] + [image(1, 2, 1, Modality="SR")]
    async with start(**forwarding(tmp_path / "spool")) as gateway, client_of(gateway) as client:
        await send(gateway, *images, rejection_note(images[2]))
        assert await counted(client) == [["CT", "SR"], [2], [3]]
        await change(gateway, "exclude", f"{ROOT}.1", images[1].SOPInstanceUID)
        await change(gateway, "exclude", f"{ROOT}.1", f"{ROOT}.1.2")
        assert await counted(client) == [["CT"], [1], [1]]
        assert await found(client, f"/studies/{ROOT}.1/series") == ["1.1"]
        for path in (f"/studies/{ROOT}.1/instances", "/instances", "/instances?PatientName=MUST*"):
            assert await found(client, path) == ["1.1.1"], path
        series = f"/studies/{ROOT}.1/series/{ROOT}.1.1"
        assert len((await client.ask("GET", f"{series}/metadata")).json) == 1
        hidden = (
            f"{series}/instances/{ROOT}.1.1.2",
            f"{series}/instances/{ROOT}.1.1.3",
            f"/studies/{ROOT}.1/series/{ROOT}.1.2",
        )
        for path in hidden:
            for end, accept in (("", FILES), ("/metadata", "*/*")):
                answer = await client.ask("GET", path + end, accept=accept)
                assert (answer.status, "no such instance" in answer.text) == (404, True), path
        whole = await client.ask("GET", f"/studies/{ROOT}.1", accept=FILES)
        assert whole.body.count(b"transfer-syntax=") == 1
        await change(gateway, "include", f"{ROOT}.1", images[1].SOPInstanceUID)
        assert await counted(client) == [["CT"], [1], [2]]


async def test_a_page_of_which_everything_is_rejected_is_not_the_end(start: Start) -> None:
    images = [image(1, 1), image(1, 2), image(1, 3)]
    async with start() as gateway, client_of(gateway) as client:
        await send(gateway, *images, rejection_note(images[0]))
        path = f"/studies/{ROOT}.1/series"
        assert await found(client, path) == ["1.2", "1.3"]
        answer = await client.ask("GET", f"{path}?limit=1")
        assert [one["0020000E"]["Value"] for one in answer.json] == [[f"{ROOT}.1.2"]]
        assert answer.warnings == ["There are 1 additional results that can be requested"]


async def test_metadata_in_xml_and_parts_say_the_same(start: Start) -> None:
    async with start() as gateway, client_of(gateway) as client:
        await send(gateway, image(1), image(1, 2))
        path = f"/studies/{ROOT}.1/metadata"
        as_json = await client.ask("GET", path)
        assert as_json.headers["Content-Type"] == "application/dicom+json"
        as_xml = await client.ask("GET", path, accept=XML_PARTS)
        read = [native_xml.read(part.content) for part in multipart.read(as_xml.headers["Content-Type"], as_xml.body)]
        assert len(read) == len(as_json.json) == 2
        for of_xml, of_json in zip(read, as_json.json, strict=True):
            assert {f"{tag:08X}" for tag in of_xml} == set(of_json)
        parts = await client.ask("GET", path, accept='multipart/related; type="application/dicom+json"')
        [part] = multipart.read(parts.headers["Content-Type"], parts.body)
        assert part.content.strip() == as_json.body
        for accept, status in ((None, 406), ("image/png", 406)):
            assert (await client.ask("GET", path, accept=accept)).status == status
        # A header that does not parse is what was read of it when it came.
        await gateway.store.write(lambda connection: connection.execute(update(instances).values(header=b"")))
        broken = (await client.ask("GET", path)).json
        assert [one["0020000D"]["Value"] for one in broken] == [[f"{ROOT}.1"]] * 2


async def test_a_retrieval_names_why_pixels_are_not_here(start: Start, tmp_path: Path) -> None:
    async with start() as gateway, client_of(gateway) as client:
        await send(gateway, image(1))
        answer = await client.ask("GET", f"/studies/{ROOT}.1", accept=FILES)
        assert (answer.status, answer.text) == (404, "pixels: pixels are not kept here: studies.storage is headers")
        assert "Retrieve" not in {
            method["id"]
            for resource in (await client.ask("OPTIONS", "/", accept="application/json")).json["resources"]
            for method in resource["methods"]
            if "studies" in resource["path"]
        }
    async with start(**forwarding(tmp_path / "spool")) as gateway, client_of(gateway) as client:
        one = f"/studies/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"
        answer = await client.ask("GET", one, accept=FILES)
        assert (answer.status, answer.text) == (404, "pixels: it came without pixels, or before they were kept")
        await send(gateway, image(1), image(1, 1, 2))
        for accept, status in (
            (FILES, 200), (f"{FILES}; transfer-syntax=*", 200), ("application/dicom", 200), ("*/*", 200),
            (f"{FILES}; transfer-syntax=1.2.840.10008.1.2.1", 200),
            (f"{FILES}; transfer-syntax={JPEG2000Lossless}", 406),
            ('multipart/related; type="application/octet-stream"', 406), (None, 406),
        ):  # fmt: skip
            assert (await client.ask("GET", one, accept=accept)).status == status, accept
        alone = await client.ask("GET", one, accept="application/dicom")
        assert alone.headers["Content-Type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
        assert pydicom.dcmread(BytesIO(alone.body)) == image(1)
        await set_files(gateway, f"{ROOT}.1.1.2", removed_at=1)
        part = await client.ask("GET", f"/studies/{ROOT}.1", accept=FILES)
        assert part.warnings == ["1 instances are left out: its file was deleted when nobody needed it any more"]
        assert part.body.count(b"Content-Location") == 1
        gone = await client.ask("GET", one[:-1] + "2", accept=FILES)
        assert (gone.status, "deleted when nobody needed it" in gone.text) == (410, True)
        await set_files(gateway, f"{ROOT}.1.1.2", removed_at=None)
        [path, *others] = await files(gateway, tmp_path / "spool")
        path.unlink()
        part = await client.ask("GET", f"/studies/{ROOT}.1", accept=FILES)
        assert part.warnings == ["1 instances are left out: its file is lost: it was looked for and was not there"]
        assert part.body.count(b"Content-Location") == 1
        for file in others:
            file.unlink()
        assert (await client.ask("GET", f"/studies/{ROOT}.1", accept=FILES)).status == 404
        assert (await client.ask("GET", one, accept="application/dicom")).status == 404
        await set_files(gateway, f"{ROOT}.1.1.2", removed_at=1)
        listed = (await client.ask("GET", f"/studies/{ROOT}.1/instances?InstanceNumber=2")).json
        assert listed[0]["00080056"]["Value"] == ["UNAVAILABLE"]


async def test_an_answer_that_fails_amid_is_cut(start: Start) -> None:
    async with start() as gateway, client_of(gateway) as client:
        await send(gateway, image(1))

        def add_more(connection: Any) -> None:
            [held] = connection.execute(select(instances)).mappings().all()
            rows = [{**held, "id": 100 + number, "sop_uid": f"{ROOT}.1.1.1.{number}"} for number in range(150)]
            connection.execute(insert(instances), rows)
            connection.execute(text("UPDATE instances SET header = 'no bytes' WHERE id = 249"))

        await gateway.store.write(add_more)
        with pytest.raises(aiohttp.ClientError):
            await client.ask("GET", f"/studies/{ROOT}.1/metadata")


async def test_a_retrieval_whose_files_go_meanwhile_is_cut(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start(**forwarding(tmp_path / "spool")) as gateway, client_of(gateway) as client:
        await send(gateway, image(1), image(1, 1, 2))
        read = served_instances.files

        def deleted_meanwhile(connection: Any, row: int, sop_uid: str, after: str, limit: int) -> Any:
            rows = read(connection, row, sop_uid, after, limit)
            return [one._replace(removed_at=1) for one in rows] if limit == 100 else rows

        monkeypatch.setattr(served_instances, "files", deleted_meanwhile)
        with pytest.raises(aiohttp.ClientError):
            await client.ask("GET", f"/studies/{ROOT}.1", accept=FILES)


async def files(gateway: app.Running, folder: Path) -> list[Path]:
    """Of the instances, by their UIDs."""
    wanted = select(pixel_files.c.file).join(instances).order_by(instances.c.sop_uid)
    return [folder / name for name in await gateway.store.read(lambda one: one.execute(wanted).scalars().all())]


async def set_files(gateway: app.Running, sop_uid: str, **values: Any) -> None:
    of_instance = select(instances.c.id).where(instances.c.sop_uid == sop_uid).scalar_subquery()
    changed = update(pixel_files).where(pixel_files.c.instance == of_instance).values(**values)
    await gateway.store.write(lambda connection: connection.execute(changed))


async def test_studies_are_for_who_may_look_at_the_console(start: Start, tmp_path: Path) -> None:
    peers = Dicom(port=0, peers=[DicomPeer(ae_title="CT1", user="any", passcode=PASSCODE)])
    sections = forwarding(tmp_path / "spool") | {"dicom": peers}
    async with start(http=Http(port=0, token=TOKEN), **sections) as gateway, client_of(gateway) as client:
        await send(gateway, image(1), calling_ae="CT2")
        make = partial(tokens.make, days=None, person=OWNER, now=now())
        viewer = (await gateway.store.write(partial(make, name="ohif", role=Role.VIEWER, scanner=""))).token
        scanner = (await gateway.store.write(partial(make, name="ct1", role=None, scanner="CT1"))).token
        for path in ("/studies", f"/studies/{ROOT}.1", f"/studies/{ROOT}.1/metadata"):
            for authorization, status in (
                ("", 401), (f"Bearer {TOKEN}", 200), (f"Bearer {viewer}", 200), (basic("ohif", viewer), 200),
                (f"Bearer {scanner}", 403), (basic("CT1", scanner), 403), (basic("CT1", PASSCODE), 401),
            ):  # fmt: skip
                shown: dict[str, Any] = {"Authorization": authorization} if authorization else {}
                assert (await client.ask("GET", path, **shown)).status == status, (path, authorization)
        kinds = ("query", "instances accessed", "instances transferred")

        async def of_viewer() -> list[str]:
            return [row for row in await events(gateway) if '"ohif"' in row and '"P1"' in row and f'"{ROOT}.1"' in row]

        rows = await comes_true(of_viewer, lambda rows: len(rows) >= len(kinds) * 2)
        assert [sum(f'"kind":"{kind}"' in row for row in rows) for kind in kinds] == [2, 2, 2]


async def events(gateway: app.Running) -> list[str]:
    """The audit trail as it is kept."""

    def look(connection: Any) -> list[str]:
        return list(connection.execute(select(audit.c.event)).scalars())

    return await gateway.store.read(look)


@pytest.mark.parametrize(
    ("proxies", "switch", "is_served"),
    [([], None, True), ([], False, False), (["10.0.0.1/32"], None, False), (["10.0.0.1/32"], True, True)],
)
async def test_studies_are_served_on_loopback_and_where_the_site_wants_it(
    start: Start, proxies: list[str], switch: bool | None, is_served: bool
) -> None:
    http = Http(port=0, token=TOKEN, behind_proxy=proxies)
    async with start(http=http, dicomweb=DicomWebSection(studies=switch)) as gateway, client_of(gateway) as client:
        answer = await client.ask("GET", "/series", Authorization=basic("CT1", TOKEN))
        assert answer.status == (204 if is_served else 404)
