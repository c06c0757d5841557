"""`gateway check` of `studies.sources`: whether each answers what it is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from gateway.assembly.dicom_source_checks import asked as asked_over_dicom
from gateway.assembly.study_sources import web_reader_of
from gateway.config.study_sources import StudySource
from gateway.config.tree import Config
from gateway.errors import ConfigError, GatewayError, Unavailable
from gateway.operations.check import CheckFinding
from gateway.wire.dicomweb.orthanc import OrthancReader
from gateway.wire.dicomweb.querying import DicomWebReader
from gateway.wire.dicomweb.reading import LoginRefusedError, WebReader


async def asked(config: Config, source: StudySource, most_seconds: float) -> CheckFinding:
    """Ask a source for a study; nothing is read. What it refuses is a fault, what may pass is a warning."""
    if source.kind not in _ASKED:
        return await asked_over_dicom(config, source, most_seconds)
    what = f"{source.SECTION} {source.name}"
    try:
        async with web_reader_of(source, most_seconds) as server:
            answer = await _ASKED[source.kind](server)
    except ConfigError:
        return CheckFinding(what, False, "not asked, for it cannot be reached with these settings")
    except Unavailable as error:
        is_refused = isinstance(error, LoginRefusedError)
        return CheckFinding(what, not is_refused, str(error), warning=not is_refused)
    except GatewayError as error:
        return CheckFinding(what, False, f"{error}; {_ADDRESSES[source.kind]}")
    return CheckFinding(what, True, f"{server.base} {answer}")


async def _dicomweb(server: WebReader) -> str:
    found = await DicomWebReader(server).search("studies", [("limit", "1")])
    return "answers to QIDO-RS" if found.results else "answers to QIDO-RS, and has no study that we may see"


async def _orthanc(server: WebReader) -> str:
    return f"is an Orthanc; its last change has the number {await OrthancReader(server).last_change()}"


_ADDRESSES: Final = {
    "dicomweb": "url is the DICOMweb base address, which of an Orthanc ends in /dicom-web",
    "orthanc": "url is that of Orthanc's REST API, without /dicom-web",
}
"""Kind -> which address is wanted."""
_ASKED: Final[dict[str, Callable[[WebReader], Awaitable[str]]]] = {"dicomweb": _dicomweb, "orthanc": _orthanc}
