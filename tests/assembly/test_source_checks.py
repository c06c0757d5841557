"""What `gateway check` tells of sources that are asked over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bench.ports import free_port
from gateway.assembly.http_receivers import usable
from gateway.assembly.source_checks import asked
from gateway.config.http_receiver import HttpAuth
from gateway.config.receiver import ClientTls
from gateway.config.study_sources import StudySource
from gateway.config.tree import Config
from gateway.errors import ConfigError
from tests.peers.orthanc import Orthanc
from tests.peers.qido import HeldStudy, qido_archive


async def checked(url: str, **values: Any) -> tuple[bool, bool, str]:
    """Whether a source is all right, whether that is a warning, and the words."""
    source = StudySource(**{"name": "pacs", "kind": "dicomweb", "url": url, **values})
    found = await asked(Config(), source, 60)
    assert found.what == "studies.sources pacs"
    return found.ok, found.warning, found.detail


async def test_an_archive_lets_us_in_or_not() -> None:
    async with qido_archive(held=[HeldStudy("1.2", "20260320")], login="Bearer secret") as archive:
        assert await checked(archive.url, token="secret") == (True, False, f"{archive.url} answers to QIDO-RS")
        ok, _, detail = await checked(archive.url, token="other")
        assert (ok, "check auth" in detail) == (False, True)
        archive.login, archive.held = "", []
        assert "has no study that we may see" in (await checked(archive.url))[2]
        archive.next_answers = [web.Response(status=404)]
        assert (await checked(archive.url))[::2] == (
            False, f"{archive.url}/studies: HTTP 404: there is no such server at this address; check url; url is the "
            "DICOMweb base address, which of an Orthanc ends in /dicom-web",
        )  # fmt: skip
        assert (await checked(archive.url, kind="orthanc"))[0] is False
    ok, warning, detail = await checked(f"http://127.0.0.1:{free_port()}")
    assert (ok, warning) == (True, True), "it is asked again later"


async def test_an_orthanc_tells_its_last_change(orthanc: Orthanc) -> None:
    ok, warning, detail = await checked(orthanc.url, kind="orthanc")
    assert (ok, warning) == (True, False)
    assert detail == f"{orthanc.url} is an Orthanc; its last change has the number 0"


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    tls = ClientTls(ca=tmp_path / "missing.pem")
    auth = HttpAuth(kind="bearer", token_file=tmp_path / "missing")
    for values in ({"tls": tls}, {"auth": auth}):
        with pytest.raises(ConfigError, match=r"studies\.sources pacs: .*missing"):
            usable(StudySource(**{"name": "pacs", "kind": "dicomweb", "url": "https://pacs.test", **values}))
