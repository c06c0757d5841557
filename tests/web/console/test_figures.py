from __future__ import annotations

from functools import partial

from gateway.web.console.chart import Pair, pairs
from gateway.web.console.figures import length
from tests.operations.export import hospital
from tests.operations.export.test_columns import ALL
from tests.web.console.reader import shown
from tests.web.served import Served

DAYS = "first=2026-01-05&last=20260108"


async def test_turn_around_times_stand_in_a_chart_and_in_a_table_beside_it(console: Served) -> None:
    for one in ALL:
        await console.store.write(partial(hospital.add, one=one))
    page = await shown(console, f"/figures?{DAYS}")
    for words in (
        "3 examinations from 2026-01-05 to 2026-01-08", "By modality: order to examination", "20 min", "50 min",
        "CT: 20 min, nine of ten within 20 min", 'value="2026-01-05"', "a AE", 'role="img"',
    ):  # fmt: skip
        assert words in page.html, words
    assert (page.tags.count("svg"), page.tags.count("table"), page.inline) == (6, 3, [])
    assert 'aria-current="page">Figures' in page.html
    status, answer = await console.get(f"/api/turnaround?{DAYS}")
    assert (status, answer["by_modality"][0]["exam_to_ehr"]["median_seconds"]) == (200, 3000.0)


async def test_days_without_an_examination(console: Served) -> None:
    page = await shown(console, "/figures")
    assert "0 examinations" in page.html
    assert "No examination." in page.html
    assert "svg" not in page.tags
    await shown(console, "/figures?first=2026-01-05&last=2026-01-01", status=400)
    await shown(console, "/figures?first=yesterday", status=400)


def test_a_line_ends_at_the_higher_value_and_no_name_is_markup() -> None:
    drawn = str(pairs("Times", [Pair("<b>" * 9, 5, 10, "5, 10"), Pair("CT", 1, 20, "1, 20")], highest="20"))
    assert "<b>" not in drawn
    assert 'width="100.0" height="2"' in drawn
    assert 'width="200.0" height="2"' in drawn
    assert "CT: 1, 20" in drawn


def test_lengths_are_for_people() -> None:
    assert [length(one) for one in (None, 0.0, 61.4, 90_000.0)] == ["–", "0 s", "1 min", "1 d 1 h"]
