"""What `gateway check` tells of archives over DICOMweb and of folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.ports import free_port
from gateway.assembly.forward_to_checks import reached, unused_forwarding
from gateway.assembly.http_receivers import usable
from gateway.config.dicom import Dicom
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.http_receiver import HttpAuth
from gateway.config.image_destinations import ForwardTo
from gateway.config.receiver import ClientTls
from gateway.config.studies import SpoolSection, Studies
from gateway.config.tree import Config
from gateway.errors import ConfigError
from gateway.pixels import codecs
from tests.peers.stow import stow_archive

SHARE = ForwardTo(name="share", folder=Path("/share"))


async def test_an_archive_lets_us_in_or_not() -> None:
    async with stow_archive() as archive:
        archive.token = "secret"
        known = await reached(ForwardTo(name="vna", url=archive.url, token="secret"), 60)
        strange = await reached(ForwardTo(name="vna", url=archive.url, token="other"), 60)
    assert (known.ok, known.warning) == (True, False)
    assert known.detail == f"{archive.url}/studies answers (HTTP 204 to OPTIONS)"
    assert not strange.ok
    assert "does not let us in (HTTP 401): check auth" in strange.detail
    away = await reached(ForwardTo(name="vna", url=f"http://127.0.0.1:{free_port()}"), 60)
    assert (away.ok, away.warning) == (True, True), "instances wait for it"


async def test_a_folder_is_there_or_its_disk_is_not_mounted(tmp_path: Path) -> None:
    async def found(folder: Path) -> tuple[bool, bool, str]:
        one = await reached(ForwardTo(name="share", folder=folder), 60)
        return one.ok, one.warning, one.detail

    assert await found(tmp_path) == (True, False, f"{tmp_path} can be written")
    ok, warning, detail = await found(tmp_path / "away")
    assert (ok, warning) == (True, True)
    assert "is not there: make it, or mount its disk" in detail
    (tmp_path / "file").touch()
    assert await found(tmp_path / "file") == (False, False, f"{tmp_path / 'file'} is no folder")
    ok, warning, detail = await found(Path("/dev/shm"))
    assert (ok, warning) == (True, True)
    assert "is a mount point" in detail


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    usable(SHARE)
    tls = ClientTls(ca=tmp_path / "missing.pem")
    auth = HttpAuth(kind="bearer", token_file=tmp_path / "missing")
    for values in ({"tls": tls}, {"auth": auth}):
        with pytest.raises(ConfigError, match=r"studies\.forward_to vna: .*missing"):
            usable(ForwardTo(**{"name": "vna", "url": "https://vna.test", **values}))


def found_in(monkeypatch: pytest.MonkeyPatch, *, installed: bool = True, **studies: Any) -> list[str]:
    monkeypatch.setattr(codecs, "are_installed", lambda: installed)
    pacs = DicomDestination(name="pacs", ae_title="PACS", port=104, store=studies.pop("store", False), mpps=True)
    section = Studies(spool=SpoolSection(folder=Path("/spool")), **studies)
    return [one.detail for one in unused_forwarding(Config(dicom=Dicom(destinations=[pacs]), studies=section))]


def test_what_is_in_the_spool_is_sent_on_after_a_change_back_to_headers() -> None:
    pacs = DicomDestination(name="pacs", ae_title="PACS", port=104, store=True)
    with pytest.raises(ValidationError, match=r"destination pacs gets instances \(store\): set storage: forward"):
        Config(dicom=Dicom(destinations=[pacs]))
    Config(dicom=Dicom(destinations=[pacs]), studies=Studies(spool=SpoolSection(folder=Path("/spool"))))


def test_pixels_that_nobody_gets_and_destinations_that_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not found_in(monkeypatch)
    assert not found_in(monkeypatch, storage="forward", store=True)
    assert not found_in(monkeypatch, storage="forward", forward_to=[SHARE])
    [unused] = found_in(monkeypatch, storage="forward")
    assert unused.startswith("forward, and no destination has store")
    for destinations in ({"forward_to": [SHARE]}, {"store": True}):
        [headers] = found_in(monkeypatch, **destinations)
        assert headers.startswith("headers: destinations of instances get what is in the spool")
    small = SHARE.model_copy(update={"compress": "rle"})
    with_codecs, without = (
        found_in(monkeypatch, storage="forward", forward_to=[small], installed=one) for one in (True, False)
    )
    assert not with_codecs
    assert without[-1] == "share: rle without the codecs (imaging-gateway[pixels]): instances go as they came"
