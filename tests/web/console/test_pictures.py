"""The contact sheet. What is settled before a statement is made is the same on both databases: SQLite alone."""

from __future__ import annotations

from pathlib import Path

from gateway.operations.pictures import MOST_OF_A_PATIENT, NEVER_CAME, NOT_KEPT, Pictures
from tests.web.console.reader import shown
from tests.web.kept_pixels import REPORT, Kept, keep
from tests.web.served import STUDY, served

SHEET = f"/studies/{STUDY}/pictures"


async def _nothing(_path: Path) -> bytes:
    return b""


async def test_instances_of_each_patient_are_on_the_sheet(sqlite_url: str) -> None:
    kept = [Kept(number, Path(f"{number}.dcm")) for number in range(1, 31)]
    stray = Kept(40, Path("40.dcm"), patient_id="0815")
    report, bare = Kept(1, Path("r.dcm"), series=f"{STUDY}.2", sop_class=REPORT), Kept(2, series=f"{STUDY}.2")
    async with served(sqlite_url, pictures=Pictures("", Path, _nothing)) as console:
        await keep(console.store, *kept, stray, report, bare)
        page = await shown(console, SHEET)
        [event] = [one for one in console.noted if one.detail["path"] == SHEET]
        study = await shown(console, f"/studies/{STUDY}")
    previews = [link for link in page.links if link.endswith("preview.jpg")]
    assert len(previews) == MOST_OF_A_PATIENT + 1
    assert {kept[0].preview, kept[-1].preview, stray.preview} <= set(previews)
    for words in (
        "Axial &lt;1 mm&gt;", "9 of 31 instances", "another patient", ">no image<", NEVER_CAME,
        f'<img src="{stray.preview}" alt="Preview of instance 40 of 0815"',
    ):  # fmt: skip
        assert words in page.html, words
    assert not page.inline
    assert set(event.patients) == {"4711", "0815"}
    assert SHEET in study.links


async def test_where_headers_alone_are_kept_one_sentence_says_so(sqlite_url: str) -> None:
    async with served(sqlite_url) as console:
        await keep(console.store, Kept(1))
        for path in (SHEET, f"/studies/{STUDY}"):
            page = await shown(console, path)
            assert f"There are no previews: {NOT_KEPT}." in page.html
            assert "<img" not in page.html
            assert SHEET not in page.links


async def test_a_study_of_which_nothing_has_arrived_has_no_sheet(sqlite_url: str) -> None:
    async with served(sqlite_url) as console, console.session.get(console.base + "/studies/1.2.3/pictures") as response:
        assert response.status == 404
