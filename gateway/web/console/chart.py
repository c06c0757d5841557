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


ROW: Final = 18
NAMES: Final = 100
"""Width of the names at the left."""
FOOT: Final = 14
LONGEST_NAME: Final = 17
"""Characters that have room there."""


class Pair(NamedTuple):
    """A lower and a higher value of one group, such as median and 90th percentile."""

    name: str
    low: float
    high: float
    text: str
    """Both for people."""


def pairs(caption: str, shown: Sequence[Pair], *, highest: str) -> Markup:
    """A figure with a line for each group: a bar to the lower value, a thin one to the higher. `highest`: what the
    right end stands for."""
    most = max((one.high for one in shown), default=0) or 1
    base = ROW * len(shown)
    words = "; ".join(f"{one.name}: {one.text}" for one in shown)
    return Markup(
        '<figure class="chart"><figcaption>{caption}</figcaption>'
        '<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{drawn}'
        '<line class="axis" x1="{left}" y1="0" x2="{left}" y2="{base}"></line>'
        '<text x="{width}" y="{foot}" text-anchor="end">{highest}</text></svg></figure>'
    ).format(
        caption=caption, width=WIDTH, height=base + FOOT, left=NAMES, base=base, foot=base + FOOT - 3, highest=highest,
        label=f"{caption}. {words}", drawn=Markup("").join(_pair(one, ROW * n, most) for n, one in enumerate(shown)),
    )  # fmt: skip


def _pair(one: Pair, y: int, most: float) -> Markup:
    room = WIDTH - NAMES
    name = one.name if len(one.name) <= LONGEST_NAME else f"{one.name[: LONGEST_NAME - 1]}…"
    return Markup(
        '<g><title>{}: {}</title><text x="0" y="{}">{}</text>'
        '<rect class="bar" x="{}" y="{}" width="{:.1f}" height="{}"></rect>'
        '<rect class="bar far" x="{}" y="{}" width="{:.1f}" height="2"></rect></g>'
    ).format(
        one.name, one.text, y + ROW - 6, name, NAMES, y + 3, one.low / most * room, ROW - 6, NAMES, y + ROW // 2 - 1,
        one.high / most * room,
    )  # fmt: skip
