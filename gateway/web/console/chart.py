"""Bars of 24 hours as SVG: drawn here, so that a page needs no script for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

WIDTH: Final = 300
HEIGHT: Final = 90
BASE: Final = 72
"""The line on which the bars stand."""
TOP: Final = 14
GAP: Final = 2
LABELLED: Final = 6
"""Each so many hours are named."""


class Bar(NamedTuple):
    label: str
    """Of the hour, such as `14`."""
    value: float
    text: str
    """The value for people, such as `1,203` or `2.5 %`."""


def bars(caption: str, shown: Sequence[Bar], *, highest: str, css_class: str = "bar") -> Markup:
    """A figure with a bar for each hour, the highest of full height. `highest`: what the top stands for."""
    most = max((bar.value for bar in shown), default=0) or 1
    width = WIDTH / max(len(shown), 1)
    drawn = [_bar(bar, number * width, width, bar.value / most, css_class) for number, bar in enumerate(shown)]
    names = [
        Markup('<text x="{:.1f}" y="{}">{}</text>').format(number * width, BASE + 13, bar.label)
        for number, bar in enumerate(shown)
        if number % LABELLED == 0
    ]
    return Markup(
        '<figure class="chart"><figcaption>{caption}</figcaption>'
        '<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        '<line class="axis" x1="0" y1="{base}" x2="{width}" y2="{base}"></line>'
        '<text x="0" y="10">{highest}</text>{drawn}{names}</svg></figure>'
    ).format(
        caption=caption, width=WIDTH, height=HEIGHT, base=BASE, highest=highest, label=_in_words(caption, shown),
        drawn=Markup("").join(drawn), names=Markup("").join(names),
    )  # fmt: skip


def _bar(bar: Bar, x: float, width: float, share: float, css_class: str) -> Markup:
    height = max(share * (BASE - TOP), 1.0 if bar.value else 0.0)
    return Markup(
        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {}</title></rect>'
    ).format(css_class, x, BASE - height, width - GAP, height, f"{bar.label} h", bar.text)


def _in_words(caption: str, shown: Sequence[Bar]) -> str:
    """What is drawn, for those who hear the page."""
    if not shown:
        return caption
    most = max(shown, key=lambda bar: bar.value)
    return f"{caption}: {shown[-1].text} in this hour, at most {most.text} at {most.label} h"
