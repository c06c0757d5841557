"""Store by clients that want it to fail: what is lost must be named, and a short body must not take much memory."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from gateway.assembly import process as app
from gateway.config.studies import SpoolSection, Studies
from gateway.web.dicomweb.storing import batch, bulk_data
from gateway.wire.dicomweb import native_xml
from tests.journey.running import config_of
from tests.web.dicomweb.client import JSON, XML, Client, client_of
from tests.web.dicomweb.stow import BOUNDARY, END, Stored, instance, part, stored

pytestmark = pytest.mark.asyncio(loop_scope="module")
STUDY = "2.25.98"
A, B = f"{STUDY}.1.1", f"{STUDY}.1.2"
PIXELS = "7FE00010"
OCTETS = "application/octet-stream"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Of a gateway that keeps pixels."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    section = Studies(storage="forward", spool=SpoolSection(folder=folder / "spool", free_gb=0.0))
    async with (
        app.running(config_of(f"sqlite:///{folder}/g.db", studies=section)) as running,
        client_of(running, "CT1") as made,
    ):
        yield made


async def post(client: Client, sent: bytes, kind: str = JSON) -> Stored:
    content_type = f'multipart/related; type="{kind}"; boundary={BOUNDARY}'
    return stored(await client.ask("POST", "/studies", body=sent, content_type=content_type, accept=JSON))


def described(sop_uid: str, **members: Any) -> dict[str, Any]:
    """An instance as DICOM JSON, without pixels; `members` by their tags."""
    dataset = instance(sop_uid, STUDY)
    del dataset.PixelData
    return {**dataset.to_json_dict(), **{name.removeprefix("x"): member for name, member in members.items()}}


def metadata(*objects: dict[str, Any]) -> bytes:
    return part(orjson.dumps(objects), JSON)


BINARY: dict[str, dict[str, Any]] = {
    "no base64": {"InlineBinary": "@@@"},
    "a number": {"InlineBinary": 5},
    "numbers in Value": {"Value": [1, 2]},
}


@pytest.mark.parametrize("written", BINARY)
async def test_pixels_that_cannot_be_read_fail_their_instance(client: Client, written: str) -> None:
    sent = metadata(described(A, **{f"x{PIXELS}": {"vr": "OW", **BINARY[written]}}), described(B)) + END
    assert await post(client, sent) == Stored(202, [B], {A: 0xC000}, [])


async def test_base64_in_lines_is_read(client: Client) -> None:
    lines = base64.encodebytes(bytes(range(256))).decode().replace("\n", "\r\n")
    sent = metadata(described(A, **{f"x{PIXELS}": {"vr": "OB", "InlineBinary": lines}})) + END
    assert (await post(client, sent)).stored == [A]
    path = f"/studies/{STUDY}/series/{STUDY}.1/instances/{A}"
    assert bytes(range(256)) in (await client.ask("GET", path, accept="application/dicom")).body


async def test_an_unknown_value_that_cannot_be_read_stops_nothing(client: Client) -> None:
    assert (await post(client, metadata(described(B, x00091001={"vr": "UN", "InlineBinary": "@"})) + END)).stored == [B]


async def test_bulk_data_states_no_transfer_syntax_but_one_of_pixels(client: Client) -> None:
    """Implicit VR says nothing of a value's bytes: the data set is in Explicit VR. Frames are all of one syntax."""
    named = {f"x{PIXELS}": {"vr": "OW", "BulkDataURI": "p"}}
    implicit = part(b"abcd", f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2", content_location="p")
    uid = f"{STUDY}.1.3"
    assert (await post(client, metadata(described(uid, **named)) + implicit + END)).stored == [uid]
    path = f"/studies/{STUDY}/series/{STUDY}.1/instances/{uid}"
    answer = await client.ask("GET", path, accept="application/dicom")
    assert answer.headers["Content-Type"].endswith("transfer-syntax=1.2.840.10008.1.2.1")
    frames = [part(b"ab", kind, content_location="p") for kind in ("image/jpeg", "image/jls")]
    sent = metadata(described(A, **named)) + b"".join(frames) + END
    assert await post(client, sent) == Stored(409, [], {A: 0xC000}, [])


async def test_instances_of_metadata_are_counted_as_parts_are(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("gateway.web.dicomweb.storing.parts.MOST", 3)
    assert batch.MOST >= 100_000
    assert (await post(client, part(b"[{},{},{},{}]", JSON) + END)).status == 413
    assert await post(client, part(b"[{},{},{}]", JSON) + END) == Stored(409, [], {}, [0xA900] * 3)
    assert (await post(client, metadata({}) * 4 + END)).status == 413


async def test_parts_of_bulk_data_are_counted(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_data, "MOST", 2)
    named = metadata(described(A, **{f"x{PIXELS}": {"vr": "OB", "BulkDataURI": "p"}}))
    frame = part(b"ab", "image/jpeg", content_location="p")
    assert (await post(client, named + 2 * frame + END)).stored == [A]
    assert await post(client, named + 3 * frame + END) == Stored(202, [A], {}, [0xA700])


async def test_a_document_of_very_many_elements_is_too_large(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(native_xml, "MAX_MARKS", 1_000)
    assert await post(client, part(b"<a>" * 1_001, XML) + END, XML) == Stored(413, [], {}, [0xA700])
    assert await post(client, part(b"<a>" * 1_000, XML) + END, XML) == Stored(409, [], {}, [0xC000])


async def test_a_uid_writes_no_header_field_of_a_retrieved_part(client: Client) -> None:
    uid = f"{STUDY}.9\r\nContent-Type: text/html\r\n\r\n<p>"
    made = described(A)
    made["00080018"]["Value"] = [uid]
    assert (await post(client, metadata(made) + END)).stored == [uid]
    answer = await client.ask("GET", f"/studies/{STUDY}", accept='multipart/related; type="application/dicom"')
    heads = [one.partition(b"\r\n\r\n")[0] for one in answer.body.split(b"\r\n--")]
    assert any(b".9%0D%0AContent-Type:" in head for head in heads)
    assert not any(b"\r\nContent-Type: text/html" in head for head in heads)
