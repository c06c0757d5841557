from __future__ import annotations

import re

from gateway.web.console.chart import Bar, bars


def test_the_highest_bar_is_full_and_each_says_its_value() -> None:
    drawn = str(bars("Orders", [Bar("00", 0, "0"), Bar("01", 5, "5"), Bar("02", 10, "10")], highest="10"))
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"', drawn)]
    assert heights == [0.0, 29.0, 58.0]
    assert re.findall("<title>(.*?)</title>", drawn) == ["00 h: 0", "01 h: 5", "02 h: 10"]
    assert 'aria-label="Orders: 10 in this hour, at most 10 at 02 h"' in drawn
    assert "style=" not in drawn


def test_a_caption_is_no_markup() -> None:
    assert "<b>" not in bars("<b>", [], highest="0")
