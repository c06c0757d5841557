"""Search of scheduled steps over the web: parameters, media types, warnings and statuses (PS3.18 14.4, 8.3.4)."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
from multidict import CIMultiDict

from gateway.assembly import process as app
from gateway.config.dicom import Dicom
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.modality import begin
from tests.journey.running import Start
from tests.journey.test_performed_step import ordered
from tests.journey.test_scanner_rules import overlay
from tests.web.dicomweb.client import JSON, STEPS, XML, Answer, client_of

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MULTIPART_JSON, MULTIPART_XML = (f'multipart/related; type="{one}"' for one in (JSON, XML))
NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
SEQUENCE, STATION, DATE, TIME = "00400100", "00400001", "00400002", "00400003"
ORDERS = (
    ("1", "CT", "20260131233000", "MUSTER^MAX"),
    ("2", "CT", "20260201003000", "MUELLER^MARIA"),
    ("3", "MR", "20260215090000", "GR\N{LATIN SMALL LETTER U WITH DIAERESIS}N^ANNA"),
)


def order(number: str, modality: str, start: str, name: str) -> bytes:
    return orm(
        control_id=f"M{number}", placer=f"P{number}", filler=f"F{number}", accession=f"A{number}", modality=modality,
        patient=f"PAT{number}^^^HOSP", name=name, procedure=f"RP{number}", step=f"S{number}", start=start,
        study_uid=f"1.2.{number}", charset="UNICODE UTF-8",
    )  # fmt: skip


@pytest.fixture
async def gateway(start: Start) -> AsyncIterator[app.Running]:
    async with start(dicom=Dicom(port=0, max_worklist_matches=5)) as running:
        await ordered(running, *(order(*one) for one in ORDERS))
        yield running


def accession_numbers(answer: Answer) -> str:
    """Those of the results: `1 2` for A1 and A2; the status where there are none."""
    if answer.status != 200:
        return str(answer.status)
    return " ".join(one["00080050"]["Value"][0][1:] for one in answer.json)


class Case(NamedTuple):
    query: str
    expected: str
    warnings: tuple[str, ...] = ()


LITERAL = "The {0} parameter is not supported. {1} Value Matching has not been performed."
CASES = (
    Case("", "1 2 3"),
    # Paths of tags and keywords, in any mixture.
    Case(f"{SEQUENCE}.00080060=MR", "3"),
    Case("ScheduledProcedureStepSequence.Modality=CT", "1 2"),
    Case("ScheduledProcedureStepSequence.00080060=CT&PatientID=PAT1", "1"),
    Case(f"{SEQUENCE.lower()}.Modality=CT&00100020=PAT2", "2"),
    Case("StudyInstanceUID=1.2.1,1.2.3", "1 3"),
    Case("PatientName=MU*", "1 2"),
    Case("PatientName=gr%C3%BCn*", "3"),
    Case("PatientName=", "1 2 3"),
    # What is not served is left out; what is served and cannot be read is refused.
    Case("colour=blue&NoSuchKeyword=1&PatientID.Modality=CT&0009100F=1&00400100[1].00080060=MR", "1 2 3"),
    Case("limit=abc", "400"),
    Case("limit=-1", "400"),
    Case("offset=9999999999", "400"),
    Case("fuzzymatching=yes", "400"),
    Case("00400100.00400002=2026013", "400"),
    Case("00400100.00400002=20260231", "400"),
    Case("ScheduledProcedureStepSequence=CT", "400"),
    Case("PatientID=PAT1&00100020=PAT1", "400"),
    Case("limit=1&limit=1", "400"),
    Case("PatientID=P%00", "400"),
    Case("PatientID=%FF", "204"),
    # Dates, and times across midnight.
    Case("00400100.00400002=20260101-20260131", "1"),
    Case("00400100.00400002=20260131-", "1 2 3"),
    Case("00400100.00400002=-20260201", "1 2"),
    Case("00400100.00400002=20260131-20260201&00400100.00400003=2300-0100", "1 2"),
    Case("00400100.00400002=20260131-20260201&00400100.00400003=2345-0100", "2"),
    # In a zone of their own: the site's is UTC.
    Case("00080201=%2B0100&00400100.00400002=20260201", "1 2"),
    Case("00080201=+0100&00400100.00400002=20260131", "204"),
    Case("00080201=-0100&00400100.00400002=20260131", "1 2"),
    Case("00080201=%2B0100&00400100.00400002=20260201&00400100.00400003=0030", "1"),
    Case("00080201=%2B0100&00400100.00400002=20260201-20260201&00400100.00400003=0000-0100", "1"),
    Case("00080201=%2B0100&00400100.00400002=20260201-20260201&00400100.00400003=0030", "400"),
    Case("00080201=%2B0100&00400100.00400003=0030", "400"),
    Case("00080201=Berlin&00400100.00400002=20260201", "400"),
    # Pages.
    Case("PatientID=NOBODY", "204"),
    Case("limit=1", "1", ("There are 2 additional results that can be requested",)),
    Case("limit=1&offset=1", "2", ("There are 1 additional results that can be requested",)),
    Case("limit=2&offset=1", "2 3"),
    Case("offset=3", "204"),
    Case("limit=0", "204"),
    # Kinds of matching.
    Case("fuzzymatching=true&PatientName=MULLER", "2"),
    Case("PatientName=MULLER", "204"),
    Case("emptyvaluematching=true", "1 2 3", (LITERAL.format("emptyvaluematching", "Empty"),)),
    Case("multiplevaluematching=true", "1 2 3", (LITERAL.format("multiplevaluematching", "Multiple"),)),
    Case("emptyvaluematching=false&multiplevaluematching=false&fuzzymatching=false", "1 2 3"),
    Case("includefield=all&includefield=PatientID", "400"),
    Case("includefield=nothing,00400100.nothing", "1 2 3"),
    Case("charset=iso-8859-1", "406"),
    Case("accept=text/html", "406"),
)


async def test_the_query_decides_which_steps_are_answered(gateway: app.Running) -> None:
    async with client_of(gateway, "CT1") as client:
        for case in CASES:
            answer = await client.search(case.query)
            assert (accession_numbers(answer), tuple(answer.warnings)) == (case.expected, case.warnings), case.query
            assert answer.status != 204 or not answer.body
            assert answer.status < 400 or answer.text, case.query


async def test_a_warning_names_the_base_uri(gateway: app.Running) -> None:
    async with client_of(gateway) as client:
        answer = await client.search("limit=1", accept=JSON)
        assert answer.headers["Warning"] == f"299 {client.base}: There are 2 additional results that can be requested"


ACCEPTS: tuple[tuple[str | None, str, int, str], ...] = (
    (None, "", 406, "text/plain; charset=utf-8"),
    ("*/*", "", 200, f"{JSON}; charset=utf-8"),
    ("text/html, application/*;q=0.5", "", 200, f"{JSON}; charset=utf-8"),
    ("nonsense, application/json", "", 200, "application/json; charset=utf-8"),
    ("text/html", "", 406, "text/plain; charset=utf-8"),
    (XML, "PatientID=PAT1", 200, f"{XML}; charset=utf-8"),
    (XML, "", 406, "text/plain; charset=utf-8"),
    (XML, "PatientID=NOBODY", 204, ""),
    (f"{JSON};q=0.1, {MULTIPART_XML}", "", 200, MULTIPART_XML),
    (MULTIPART_JSON, "", 200, MULTIPART_JSON),
    (f"{JSON};q=0", "", 406, "text/plain; charset=utf-8"),
    ("*/*", f"accept={XML}&PatientID=PAT1", 200, f"{XML}; charset=utf-8"),
    (JSON, f"accept={XML}&PatientID=PAT1", 406, "text/plain; charset=utf-8"),
)


async def test_the_media_type_is_what_the_client_accepts(gateway: app.Running) -> None:
    async with client_of(gateway) as client:
        for accept, query, status, content_type in ACCEPTS:
            answer = await client.search(query, accept=accept)
            given = answer.headers.get("Content-Type", "").partition("; boundary=")[0]
            assert (answer.status, given) == (status, content_type), (accept, query)
        assert (await client.search(accept="*/*", Accept_Charset="iso-8859-1")).status == 406
        assert (await client.search(accept="*/*", Accept_Charset="iso-8859-1, utf-8;q=0.3")).status == 200
        lines = CIMultiDict([("Accept", "text/html"), ("Accept", XML)])
        async with client.session.get(f"{client.base}{STEPS}?PatientID=PAT1", headers=lines) as several_lines:
            assert several_lines.content_type == XML
        assert (await client.ask("GET", STEPS + "/")).status == 200
        refused = await client.ask("DELETE", STEPS)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET,OPTIONS")


def values(document: bytes, tag: str) -> list[str]:
    found = ElementTree.fromstring(document).iterfind(f".//{NAMESPACE}DicomAttribute[@tag='{tag}']//*")
    return [one.text for one in found if one.text]


def parts_of(answer: Answer) -> list[tuple[str, bytes]]:
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message: Message[str, str] = BytesParser().parsebytes(head + answer.body)
    _, *parts = message.walk()
    return [(part.get_content_type(), bytes(part.get_payload(decode=True))) for part in parts]


async def test_xml_and_multipart_hold_the_same_results(gateway: app.Running) -> None:
    async with client_of(gateway) as client:
        one = await client.search("PatientID=PAT3", accept=XML)
        assert values(one.body, "00100010") == ["GR\N{LATIN SMALL LETTER U WITH DIAERESIS}N", "ANNA"]
        assert values(one.body, "00080005") == ["ISO_IR 192"]
        several = parts_of(await client.search(accept=MULTIPART_XML))
        assert [(kind, values(body, "00080050")) for kind, body in several] == [(XML, [f"A{n}"]) for n in "123"]
        [(kind, body)] = parts_of(await client.search(accept=MULTIPART_JSON))
        assert (kind, body) == (JSON, (await client.search()).body)


async def test_results_hold_what_the_standard_wants_and_what_was_asked_for(gateway: app.Running) -> None:
    async with client_of(gateway, "CT1") as client:

        async def result(query: str) -> tuple[dict[str, Any], dict[str, Any]]:
            [found] = (await client.search(f"PatientID=PAT1{query}")).json
            [step] = found[SEQUENCE]["Value"]
            assert list(found) == sorted(found)
            return found, step

        plain, step = await result("")
        # Type 1 and 2 without being asked for, empty where there is no value; type 1C where there is one.
        assert plain["00100030"] == {"vr": "DA", "Value": ["19800102"]}
        assert plain["00101030"] == {"vr": "DS"}
        assert plain["00321060"] == {"vr": "LO", "Value": ["CT head"]}
        assert step[STATION] == {"vr": "AE", "Value": ["CT1"]}
        # Type 3 on request only: status of the step, issuer of the Patient ID.
        assert "00400020" not in step
        assert "00100021" not in plain
        asked, step = await result("&includefield=00100021,ScheduledProcedureStepSequence.ScheduledProcedureStepStatus")
        assert asked["00100021"] == {"vr": "LO", "Value": ["HOSP"]}
        assert step["00400020"] == {"vr": "CS", "Value": ["SCHEDULED"]}
        assert (await result(f"&{SEQUENCE}.00400020=SCHEDULED"))[1]["00400020"]["Value"] == ["SCHEDULED"]
        whole, step = await result("&includefield=all")
        assert plain.keys() < whole.keys()
        assert step["00400020"]["Value"] == ["SCHEDULED"]


async def test_queries_are_logged_and_explained_as_those_over_dimse(gateway: app.Running) -> None:
    async with client_of(gateway, "MR7") as client:
        await client.search(f"{SEQUENCE}.Modality=MR")
        api = client.base.replace("/dicomweb", "/api")

        async def why() -> Any:
            async with client.session.get(f"{api}/why/A1?station=MR7") as answer:
                return await answer.json()

        found = await comes_true(why, lambda shown: shown.get("asked_at"))
    assert (found["answers"], found["keys"]) == (1, {"ScheduledProcedureStepSequence": [{"Modality": "MR"}]})
    [step] = found["steps"]
    assert step["reasons"] == ["asked for Modality = MR; it has CT"]


async def test_the_row_of_a_scanner_holds_for_its_login(start: Start, tmp_path: Path) -> None:
    rows = """
    MR*:
      modalities: [MR]
      names: plain
      character_sets: ['']
      unencodable: transliterate
      never: [PatientBirthDate]
      always: {InstitutionalDepartmentName: Radiology, ScheduledProcedureStepSequence.ScheduledStationName: Room 7}
    CT*: {max_matches: 1}
    """
    async with start(mappings=overlay(tmp_path, textwrap.dedent(rows))) as gateway:
        await ordered(gateway, *(order(*one) for one in ORDERS))
        async with client_of(gateway, "MR7") as mr, client_of(gateway, "CT1") as ct:
            for query in ("", "includefield=all"):
                [found] = (await mr.search(query)).json
                assert found["00100010"]["Value"] == [{"Alphabetic": "GRuN ANNA"}]
                assert "00100030" not in found
                assert found["00081040"] == {"vr": "LO", "Value": ["Radiology"]}
                assert found[SEQUENCE]["Value"][0]["00400010"] == {"vr": "SH", "Value": ["Room 7"]}
            first = await ct.search("limit=3")
            assert (accession_numbers(first), first.warnings) == (
                "1",
                ["There are 2 additional results that can be requested"],
            )
            assert accession_numbers(await ct.search("offset=1")) == "2"


async def test_the_database_is_away(gateway: app.Running) -> None:
    async with client_of(gateway, "CT1") as client:
        await gateway.store.close()
        answer = await client.search()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert (await client.post("/1.2.3", begin())).status == 503
