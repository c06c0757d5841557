"""An archive over DICOMweb with written answers, in a process of its own: `python -m bench.canned_archive STUDIES DAYS
INSTANCES` prints its port."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Final

import orjson
from aiohttp import web

from bench.made_studies import made_study, study_uid

MOST: Final = 1_000
"""Studies that it gives at once."""


def first_day(days: int) -> date:
    """Of so many days up to today."""
    return datetime.now(UTC).date() - timedelta(days=days - 1)


class CannedArchive:
    """`studies` over `days`, evenly, each of `instances` instances of one series."""

    def __init__(self, studies: int, days: int, instances: int) -> None:
        first = first_day(days)
        self._by_day: dict[str, list[bytes]] = {}
        for number in range(studies):
            day = f"{first + timedelta(days=number * days // studies):%Y%m%d}"
            self._by_day.setdefault(day, []).append(result_of(study_uid(number), day, instances))
        made = made_study(0, series=1, instances=instances)
        for number, one in enumerate(made):
            # Below the UID of the study, so that each study has its own.
            one.SeriesInstanceUID, one.SOPInstanceUID = f"{study_uid(0)}.1", f"{study_uid(0)}.1.{number}"
        written = [one.to_json_dict(bulk_data_threshold=0, bulk_data_element_handler=_bulk) for one in made]
        self._metadata = orjson.dumps(written)

    async def search(self, request: web.Request) -> web.Response:
        query = request.query
        first, _, last = query["StudyDate"].partition("-")
        found = [one for day, some in self._by_day.items() if first <= day <= last for one in some]
        offset, limit = int(query.get("offset", 0)), min(int(query["limit"]), MOST)
        page = found[offset : offset + limit]
        if not page:
            return web.Response(status=204)
        return web.Response(body=b"[" + b",".join(page) + b"]", content_type="application/dicom+json")

    async def metadata(self, request: web.Request) -> web.Response:
        own = request.match_info["study"].encode()
        body = self._metadata.replace(study_uid(0).encode(), own)
        return web.Response(body=body, content_type="application/dicom+json")


def _bulk(_element: object) -> str:
    return "bulk"


def result_of(uid: str, day: str, instances: int) -> bytes:
    """A study as an archive answers, with the attributes that are asked for and those of PS3.18 Table 10.6.3-3."""
    attributes = {
        "00080005": ("CS", "ISO_IR 192"), "00080020": ("DA", day), "00080030": ("TM", "101500"),
        "00080050": ("SH", "A1"), "00080061": ("CS", "CT"), "00080090": ("PN", {"Alphabetic": "REFERRER^A"}),
        "00081190": ("UR", f"http://archive.test/studies/{uid}"), "00100010": ("PN", {"Alphabetic": "DOE^JANE"}),
        "00100020": ("LO", "P1"), "00100030": ("DA", "19700101"), "00100040": ("CS", "O"), "0020000D": ("UI", uid),
        "00200010": ("SH", "1"), "00201206": ("IS", 1), "00201208": ("IS", instances),
    }  # fmt: skip
    return orjson.dumps({tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in attributes.items()})


async def main(studies: int, days: int, instances: int) -> None:
    archive = CannedArchive(studies, days, instances)
    application = web.Application()
    application.router.add_get("/dicom-web/studies", archive.search)
    application.router.add_get("/dicom-web/studies/{study}/metadata", archive.metadata)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
