"""The search for cycles of objects: among all of them only now and then, and never while much is read."""

from __future__ import annotations

import gc
from functools import partial
from weakref import ref

from gateway.assembly.collector import spared
from tests.conftest import until


class Node:
    """An object that holds itself."""

    def __init__(self) -> None:
        self.itself = self


def _is_gone(node: ref[Node]) -> bool:
    return node() is None


async def test_what_nothing_else_holds_is_collected_at_times() -> None:
    before = gc.get_threshold()
    async with spared(seconds=0.01):
        for _ in range(3):
            await until(partial(_is_gone, ref(Node())))
    assert gc.get_threshold() == before


async def test_many_new_objects_are_no_reason_to_look_among_all() -> None:
    looked: list[int] = []

    def note(phase: str, details: dict[str, int]) -> None:
        if phase == "start":
            looked.append(details["generation"])

    async with spared():
        gc.callbacks.append(note)
        kept = [[number] for number in range(1_000_000)]
        gc.callbacks.remove(note)
    assert len(kept) == 1_000_000
    assert 0 in looked
    assert 2 not in looked
