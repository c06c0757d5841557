"""Store (STOW-RS, PS3.18 10.5): each line of the table is a request, its status, and what became of each instance."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import orjson
import pydicom
import pytest
import pytest_asyncio
from aiohttp import ClientError
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.config.dicom import Dicom, DicomPeer
from gateway.config.studies import SpoolSection, Stow, Studies
from gateway.observe import metrics
from gateway.records.audit import Action, AuditEvent, AuditKind
from gateway.store import refusals
from gateway.store.engine import sqlite_file
from gateway.store.schema import instances, pixel_files, series, studies
from gateway.wire.dimse import client as dimse
from gateway.wire.dimse.data_set import MEMORY_BYTES
from gateway.wire.part10_head import read_head
from tests.journey.running import config_of
from tests.journey.test_audit import recorded
from tests.pixels.samples import SHIPPED
from tests.web.dicomweb.client import JSON, XML, Client, client_of
from tests.web.dicomweb.stow import (
    BOUNDARY,
    DICOM,
    END,
    MULTIPART,
    STUDY,
    Stored,
    body,
    file_of,
    instance,
    part,
    stored,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
KINDS = ("headers", "forward")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[app.Running]:
    """One that keeps headers, and one that keeps pixels."""
    folder = tmp_path_factory.mktemp(request.param)
    spool = SpoolSection(folder=folder / "spool", free_gb=0.0) if request.param == "forward" else SpoolSection()
    section = Studies(quiet_seconds=0.1, storage=request.param, spool=spool, stow=Stow(max_request_gb=0.02))
    dicom = Dicom(port=0, max_object_bytes=8 * 2**20, peers=[DicomPeer(ae_title="VIEWER", services=["worklist"])])
    async with app.running(config_of(f"sqlite:///{folder}/g.db", studies=section, dicom=dicom)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(gateway: app.Running) -> AsyncIterator[Client]:
    async with client_of(gateway, "CT1") as made:
        yield made


async def post(
    client: Client, sent: bytes, content_type: str = MULTIPART, path: str = "", accept: str | None = JSON
) -> Stored:
    return stored(await client.ask("POST", f"/studies{path}", body=sent, content_type=content_type, accept=accept))


class Case(NamedTuple):
    body: bytes
    answer: Stored
    content_type: str = MULTIPART
    path: str = ""


A, B = "2.25.91.1.1", "2.25.91.1.2"
FILE_A, FILE_B = file_of(instance(A)), file_of(instance(B))
OTHER = file_of(instance("2.25.92.1.1", "2.25.92"))
NO_PREAMBLE = FILE_A[132:]
BOTH = Stored(200, [A, B], {}, [])
ONE = Stored(200, [A], {}, [])


def with_class(uid: str) -> bytes:
    dataset = instance(B)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.UID(uid)
    return file_of(dataset)


def other_than_announced() -> bytes:
    dataset = instance(B)
    dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(A)
    return file_of(dataset)


def without_meta(*keywords: str, of: str = A) -> bytes:
    """The file without these elements of its File Meta Information."""
    dataset = instance(of)
    for keyword in keywords:
        delattr(dataset.file_meta, keyword)
    return file_of(dataset)


def related(type_: str = "", boundary: str = BOUNDARY) -> str:
    return f"multipart/related;{type_} boundary={boundary}"


CASES: dict[str, Case] = {
    "two": Case(body(FILE_A, FILE_B), BOTH),
    "for the study": Case(body(FILE_A, FILE_B), BOTH, path=f"/{STUDY}"),
    "with a slash": Case(body(FILE_A), ONE, path=f"/{STUDY}/"),
    "mixed batch": Case(body(FILE_A, b"no DICOM" * 40, FILE_B), Stored(202, [A, B], {}, [0xC000])),
    "nothing but garbage": Case(body(b"no DICOM"), Stored(409, [], {}, [0xC000])),
    "without preamble": Case(body(NO_PREAMBLE, FILE_B), Stored(202, [B], {}, [0xC000])),
    "an empty part": Case(body(b"", FILE_B), Stored(202, [B], {}, [0xC000])),
    "a part of another media type": Case(
        part(b"text", "text/plain") + part(FILE_A) + END, Stored(202, [A], {}, [0x0122])
    ),
    "parts of other media types alone": Case(part(b"\xff\xd8", "image/jpeg") + END, Stored(415, [], {}, [0x0122])),
    "nested": Case(
        part(body(FILE_B).replace(BOUNDARY.encode(), b"in"), "multipart/related; boundary=in") + part(FILE_A) + END,
        Stored(202, [A], {}, [0x0122]),
    ),
    "of another study": Case(body(FILE_A, OTHER), Stored(202, [A], {"2.25.92.1.1": 0xA900}, []), path=f"/{STUDY}"),
    "of another study alone": Case(body(OTHER), Stored(409, [], {"2.25.92.1.1": 0xA900}, []), path=f"/{STUDY}"),
    "no storage class": Case(
        body(with_class("1.2.840.10008.5.1.4.31"), FILE_A), Stored(202, [A], {B: 0x0122}, [])
    ),
    "another instance than announced": Case(body(other_than_announced()), Stored(409, [], {A: 0xA900}, [])),
    "another transfer syntax": Case(
        body(FILE_B.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.2.1\0")), Stored(409, [], {B: 0xC122}, [])
    ),
    "File Meta Information that names nothing": Case(
        body(without_meta("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID")), ONE
    ),
    "File Meta Information without a transfer syntax": Case(
        part(without_meta("TransferSyntaxUID"), f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.1")
        + part(without_meta("TransferSyntaxUID", of=B)) + END, BOTH,
    ),
    "nothing names the instance": Case(
        body(without_meta("MediaStorageSOPInstanceUID").replace(b"\x08\0\x18\0UI", b"\x08\0\x19\0UI")),
        Stored(409, [], {}, [0xC000]),
    ),
    "twice in a batch": Case(body(FILE_A, FILE_A), Stored(200, [A, A], {}, [])),
    "parameters of a part": Case(
        part(FILE_A, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.1")
        + part(FILE_B, 'APPLICATION/DICOM;charset="x;y"') + END, BOTH,
    ),
    "a part without Content-Type": Case(part(FILE_A, "") + END, ONE),
    "header fields of other names": Case(part(FILE_A, MIME_Version="1.0", Content_Length="3") + END, ONE),
    "unquoted type": Case(body(FILE_A), ONE, related(" type=application/dicom;")),
    "type in capitals": Case(body(FILE_A), ONE, related(' TYPE="Application/DICOM";')),
    "no type": Case(body(FILE_A), ONE, related()),
    "quoted boundary": Case(body(FILE_A), ONE, related(boundary=f'"{BOUNDARY}"')),
    "a boundary that must be quoted": Case(
        body(FILE_A).replace(BOUNDARY.encode(), b"a;b: c=?'()"), ONE, related(boundary="\"a;b: c=?'()\"")
    ),
    "line ends of LF": Case(part(FILE_A, newline=b"\n") + part(FILE_B, newline=b"\n") + END, BOTH),
    "preamble and epilogue": Case(b"This is MIME.\r\n\r\n" + body(FILE_A) + b"the end" + body(FILE_B), ONE),
    "one file as the body": Case(FILE_A, ONE, DICOM),
    "cut off in the second": Case(body(FILE_A, FILE_B)[:-200], Stored(202, [A], {}, [0xC000])),
    "cut off in the first": Case(body(FILE_A)[:-200], Stored(400, [], {}, [])),
    "empty": Case(b"", Stored(400, [], {}, [])),
    "no parts": Case(END, Stored(400, [], {}, [])),
    "no delimiter": Case(FILE_A, Stored(400, [], {}, [])),
    "no boundary": Case(body(FILE_A), Stored(400, [], {}, []), f'multipart/related; type="{DICOM}"'),
    "no Content-Type": Case(body(FILE_A), Stored(415, [], {}, []), ""),
    "another type": Case(body(FILE_A), Stored(415, [], {}, []), related(' type="image/jpeg";')),
    "another media type": Case(body(FILE_A), Stored(415, [], {}, []), "multipart/form-data; boundary=x"),
    "a study that is no UID": Case(body(FILE_A), Stored(400, [], {}, []), path="/1.2.x"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_each_instance_is_answered_for(client: Client, case: str) -> None:
    sent = CASES[case]
    assert await post(client, sent.body, sent.content_type, sent.path) == sent.answer


async def test_an_answer_in_xml(client: Client) -> None:
    sent = body(FILE_A, OTHER, b"no DICOM")
    expected = Stored(202, [A], {"2.25.92.1.1": 0xA900}, [0xC000])
    assert await post(client, sent, path=f"/{STUDY}", accept=XML) == expected
    assert await post(client, sent, path=f"/{STUDY}", accept=f"{XML};q=0.1, {JSON}") == expected
    assert await post(client, sent, path=f"/{STUDY}", accept=None) == expected
    assert (await post(client, sent, accept="image/jpeg")).status == 406


async def test_what_is_stored_is_the_file_as_it_came(gateway: app.Running, client: Client) -> None:
    """Whichever size it has, and in whichever transfer syntax; a header alone where only headers are kept."""
    long = instance("2.25.93.1.1", "2.25.93")
    long.PixelData = bytes(range(256)) * (3 * MEMORY_BYTES // 256)
    implicit = pydicom.dcmread(str(get_testdata_file("MR_small_implicit.dcm")))
    jpeg = pydicom.dcmread(str(get_testdata_file("JPEG2000.dcm")))
    deflated = pydicom.dcmread(str(get_testdata_file("image_dfl.dcm")))
    files = {str(one.SOPInstanceUID): file_of(one) for one in (long, implicit, jpeg, deflated)}
    assert await post(client, body(*files.values())) == Stored(200, list(files), {}, [])
    for uid, file in files.items():
        row = await row_of(gateway, uid)
        assert row["transfer_syntax_uid"] == pydicom.dcmread(BytesIO(file)).file_meta.TransferSyntaxUID
        assert row["source_ae"] == "CT1"
        if row["sha256"] is not None:
            assert row["sha256"] == hashlib.sha256(data_set_of(file)).digest()


def data_set_of(file: bytes) -> bytes:
    head = read_head(file, is_whole=True)
    assert head is not None
    return file[head.ends_at :]


async def row_of(gateway: app.Running, sop_uid: str) -> dict[str, Any]:
    """Of the instance, its study and its file, if it has one."""
    wanted = (
        select(instances, studies.c.study_uid, studies.c.source_ae, studies.c.attributes.label("of_study"))
        .add_columns(pixel_files.c.sha256, pixel_files.c.file)
        .join(series, series.c.id == instances.c.series)
        .join(studies, studies.c.id == series.c.study)
        .outerjoin(pixel_files, pixel_files.c.instance == instances.c.id)
        .where(instances.c.sop_uid == sop_uid)
    )
    return dict(await gateway.store.read(lambda connection: connection.execute(wanted).mappings().one()))


async def test_a_longer_instance_and_a_longer_request_than_allowed(client: Client) -> None:
    too_long = instance("2.25.94.1.1")
    too_long.PixelData = bytes(8 * 2**20)
    assert await post(client, body(file_of(too_long))) == Stored(413, [], {"2.25.94.1.1": 0xA700}, [])
    assert await post(client, body(FILE_A, file_of(too_long))) == Stored(202, [A], {"2.25.94.1.1": 0xA700}, [])
    with suppress(OSError, ClientError):  # answered before it has read all
        assert (await post(client, body(*[file_of(too_long)] * 3))).status == 413
    assert await post(client, body(FILE_A)) == ONE


async def test_the_same_instance_by_c_store_and_in_another_transfer_syntax_is_no_new_version(
    gateway: app.Running, client: Client
) -> None:
    dataset = instance("2.25.99.1.1", "2.25.99")
    explicit = file_of(dataset)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    sent = await dimse.store(
        "127.0.0.1", gateway.dicom_port, [dataset], called_ae="GATEWAY", calling_ae="CT1", timeout=120
    )
    assert sent == [("2.25.99.1.1", 0)]
    for content in (explicit, file_of(dataset)):
        assert (await post(client, body(content))).status == 200
    wanted = select(studies.c.revision).where(studies.c.study_uid == "2.25.99")
    assert await gateway.store.read(lambda connection: connection.execute(wanted).scalar_one()) == 1


@pytest.mark.parametrize("gateway", ["forward"], indirect=True)
async def test_every_file_of_pydicom_is_stored_or_failed_for_a_reason(client: Client) -> None:
    """Those that are broken on purpose too."""
    outcomes: Counter[str] = Counter()
    for path in sorted(SHIPPED.glob("*.dcm")):
        answer = await post(client, body(path.read_bytes()))
        reasons = [*answer.failed.values(), *answer.others]
        assert (answer.status, len(answer.stored) + len(reasons)) == (409 if reasons else 200, 1), path.name
        outcomes.update(f"{one:04X}" for one in reasons or [0])
    assert set(outcomes) <= {"0000", "0122", "A900", "C000"}
    assert outcomes["0000"] > outcomes.total() / 2


# Metadata with bulk data

METADATA = f'multipart/related; type="{JSON}"; boundary={BOUNDARY}'
OCTETS = "application/octet-stream"


def described(dataset: pydicom.Dataset, uri: str = "/bulk/") -> tuple[dict[str, Any], dict[str, bytes]]:
    """A data set as DICOM JSON, and its bulk data by their URIs."""
    bulk: dict[str, bytes] = {}

    def handler(element: pydicom.DataElement) -> str:
        bulk[f"{uri}{element.tag:08x}"] = bytes(element.value)
        return f"{uri}{element.tag:08x}"

    return dataset.to_json_dict(bulk_data_threshold=1024, bulk_data_element_handler=handler), bulk


def as_xml(data_set: dict[str, Any]) -> bytes:
    """The same in the Native DICOM Model, as far as the samples here need it."""

    def fill(parent: ElementTree.Element, members: dict[str, Any]) -> None:
        for tag, member in members.items():
            element = ElementTree.SubElement(parent, "DicomAttribute", {"tag": tag, "vr": member["vr"]})
            if "BulkDataURI" in member:
                ElementTree.SubElement(element, "BulkData", {"uri": member["BulkDataURI"]})
            if "InlineBinary" in member:
                ElementTree.SubElement(element, "InlineBinary").text = member["InlineBinary"]
            for number, value in enumerate(member.get("Value", ()), 1):
                at = {"number": str(number)}
                if member["vr"] == "SQ":
                    fill(ElementTree.SubElement(element, "Item", at), value)
                elif member["vr"] == "PN":
                    name = ElementTree.SubElement(element, "PersonName", at)
                    family = ElementTree.SubElement(ElementTree.SubElement(name, "Alphabetic"), "FamilyName")
                    family.text = value["Alphabetic"]
                else:
                    ElementTree.SubElement(element, "Value", at).text = str(value)

    root = ElementTree.Element("NativeDicomModel")
    fill(root, data_set)
    return ElementTree.tostring(root)


@pytest.mark.parametrize("kind", [JSON, XML])
async def test_metadata_with_bulk_data_is_an_instance(gateway: app.Running, client: Client, kind: str) -> None:
    dataset = instance("2.25.95.1.1", "2.25.95", PatientName="Müller")
    dataset.ReferencedImageSequence = [pydicom.Dataset()]
    dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    dataset.FrameIncrementPointer = [0x00181063, 0x00181065]
    described_as, bulk = described(dataset)
    written = orjson.dumps([described_as]) if kind == JSON else as_xml(described_as)
    parts = [part(content, OCTETS, content_location=uri) for uri, content in bulk.items()]
    sent = part(written, kind) + b"".join(parts) + END
    answer = await post(client, sent, f'multipart/related; type="{kind}"; boundary={BOUNDARY}')
    assert answer == Stored(200, ["2.25.95.1.1"], {}, [])
    row = await row_of(gateway, "2.25.95.1.1")
    assert row["of_study"]["PatientName"] == "Müller"
    if row["file"] is not None:
        kept = pydicom.dcmread(file_in_spool(gateway, row["file"]))
        dataset.SpecificCharacterSet = "ISO_IR 192"
        assert kept.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert kept.PixelData == dataset.PixelData
        kept_json, expected = kept.to_json_dict(), dataset.to_json_dict()
        assert [tag for tag in expected if kept_json.get(tag) != expected[tag]] == []


async def test_compressed_pixel_data_as_bulk_data_is_encapsulated(gateway: app.Running, client: Client) -> None:
    """Each part of the same Content-Location is a frame."""
    dataset = pydicom.dcmread(str(get_testdata_file("SC_rgb_rle_2frame.dcm")))
    frames = list(generate_frames(dataset.PixelData, number_of_frames=2))
    described_as, _ = described(dataset)
    described_as["7FE00010"] = {"vr": "OW", "BulkDataURI": "frames"}
    bulk = b"".join(part(one, "image/dicom-rle", content_location="frames") for one in frames)
    assert (await post(client, part(orjson.dumps(described_as), JSON) + bulk + END, METADATA)).status == 200
    row = await row_of(gateway, str(dataset.SOPInstanceUID))
    assert row["transfer_syntax_uid"] == RLELossless
    if row["file"] is not None:
        kept = pydicom.dcmread(file_in_spool(gateway, row["file"]))
        assert list(generate_frames(kept.PixelData, number_of_frames=2)) == frames
        assert (kept.pixel_array == dataset.pixel_array).all()


def file_in_spool(gateway: app.Running, name: str) -> Path:
    """Beside the database."""
    file = sqlite_file(str(gateway.store.engine.url))
    assert file is not None
    return Path(file).parent / "spool" / name


METADATA_CASES: dict[str, tuple[bytes, Stored]] = {
    "two of which one has no bulk data": (
        part(orjson.dumps([described(instance(A))[0], described(instance(B), "/other/")[0]]), JSON)
        + b"".join(part(one, OCTETS, content_location=uri) for uri, one in described(instance(A))[1].items())
        + END,
        Stored(202, [A], {B: 0xA900}, []),
    ),
    "no JSON": (part(b"{", JSON) + END, Stored(409, [], {}, [0xC000])),
    "no object": (part(b"[1]", JSON) + END, Stored(409, [], {}, [0xC000])),
    "no UIDs": (part(b'[{"00100010": {"vr": "PN"}}]', JSON) + END, Stored(409, [], {}, [0xA900])),
    "a part that names nothing": (
        part(orjson.dumps(instance(A).to_json_dict()), JSON) + part(b"x", OCTETS) + END,
        Stored(202, [A], {}, [0xA900]),
    ),
    "an odd attribute": (
        part(orjson.dumps(instance(A).to_json_dict() | {"00280010": {"vr": "US", "Value": ["many"]}, "x": {}}), JSON)
        + END,
        ONE,
    ),
    "nothing but bulk data": (part(b"x", OCTETS, content_location="/1") + END, Stored(400, [], {}, [])),
}  # fmt: skip


@pytest.mark.parametrize("case", METADATA_CASES)
async def test_metadata_that_are_incomplete(client: Client, case: str) -> None:
    sent, answer = METADATA_CASES[case]
    assert await post(client, sent, METADATA) == answer


# Who may, and what is recorded


async def test_who_may_not_store_by_c_store_may_not_here(gateway: app.Running) -> None:
    async with client_of(gateway, "VIEWER") as viewer:
        assert (await post(viewer, body(FILE_A))).status == 403


async def test_what_is_no_instance_is_kept_for_whoever_looks(gateway: app.Running, client: Client) -> None:
    await post(client, body(b"garbage", NO_PREAMBLE))
    second, first = (await gateway.store.read(refusals.listing))[:2]
    assert (first["source"], first["bytes"]) == ("CT1 127.0.0.1", 7)
    assert second["reason"].startswith("C000 ")


async def test_a_request_is_one_transfer_of_the_audit_trail(gateway: app.Running, client: Client) -> None:
    uid = "2.25.96"
    sent = body(*[file_of(instance(f"{uid}.1.{number}", uid)) for number in range(3)])
    before = metrics.STOWS.labels("0000")._value.get()
    assert (await post(client, sent)).status == 200
    assert metrics.STOWS.labels("0000")._value.get() == before + 3

    await post(client, sent)
    begins = await recorded(gateway, AuditKind.BEGINNING_TRANSFER, lambda one: uid in one.studies)
    assert (begins.actor.name, begins.patients) == ("CT1", ("1CT1",))

    async def came(note: str) -> AuditEvent:
        def is_it(one: AuditEvent) -> bool:
            return uid in one.studies and one.note == note

        return await recorded(gateway, AuditKind.INSTANCES_TRANSFERRED, is_it)

    assert (await came("3 instances, 0 of them were here already")).action is Action.CREATE
    assert (await came("3 instances, 3 of them were here already")).action is Action.READ
