from __future__ import annotations

import asyncio

import pytest

from gateway.errors import Unavailable
from gateway.web.streams import COMMENT, Streams, event
from tests.conftest import until


class Shown:
    """What is looked at."""

    def __init__(self) -> None:
        self.text, self.looks, self.fails = b"one", 0, False

    async def __call__(self) -> bytes:
        self.looks += 1
        if self.fails:
            raise RuntimeError("Muster^Erika")
        return self.text


async def test_all_who_follow_get_the_same_and_only_changes() -> None:
    shown = Shown()
    streams = Streams(shown, seconds=0.005, quiet_seconds=60)
    first, second = streams.follow(), streams.follow()
    assert [await anext(first), await anext(first)] == [COMMENT, b"one"]
    assert await anext(second) == b"one"
    waiting = asyncio.ensure_future(anext(first))
    looks = shown.looks
    await until(lambda: shown.looks > looks + 2)
    assert not waiting.done(), "nothing has changed"
    shown.text = b"two"
    assert (await waiting, await anext(second)) == (b"two", b"two")
    shown.fails = True
    looks = shown.looks
    await until(lambda: shown.looks > looks + 1)
    shown.fails, shown.text = False, b"three"
    assert await anext(first) == b"three"
    await streams.close()
    assert [chunk async for chunk in first] == []
    with pytest.raises(Unavailable):
        streams.follow()


async def test_nobody_looks_while_nobody_follows() -> None:
    shown = Shown()
    streams = Streams(shown, seconds=0.001, quiet_seconds=0.001)
    follower = streams.follow()
    assert [await anext(follower) for _ in range(3)][-1] in (COMMENT, b"one")
    await follower.aclose()  # type: ignore[attr-defined]
    assert streams.followers == 0
    looking = streams._looking
    assert looking is not None
    await until(looking.done)
    again = streams.follow()
    assert await anext(again) == COMMENT
    await streams.close()


async def test_there_is_a_most_of_followers() -> None:
    streams = Streams(Shown(), most=1)
    follower = streams.follow()
    await anext(follower)
    with pytest.raises(Unavailable, match="1 follow already"):
        streams.follow()
    await streams.close()


def test_an_event_has_a_line_for_each_line() -> None:
    assert event("now", "<p>\n</p>") == b"event: now\ndata: <p>\ndata: </p>\n\n"


@pytest.mark.parametrize(("look", "rest"), [(0.0, 2.0), (0.02, 2.0), (0.1, 6.0), (9.0, 15.0)])
def test_long_looks_are_made_less_often(look: float, rest: float) -> None:
    async def shown() -> bytes:
        return b""

    assert Streams(shown).rest(look) == pytest.approx(rest)
