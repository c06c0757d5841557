"""YAML files are bounded before their nodes are walked over: an alias counts as what it stands for."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import yaml

MAX_NODES: Final = 100_000
"""Nodes of a file with its aliases written out; the longest mapping shipped has a few thousand."""
MAX_DEPTH: Final = 50


class BeyondBounds(yaml.MarkedYAMLError):
    """The place at which a file passes a bound."""


def check(text: str) -> None:
    """Raises `BeyondBounds`. What is no YAML is left to whoever reads it."""
    with suppress(yaml.scanner.ScannerError, yaml.parser.ParserError, yaml.reader.ReaderError):
        _check(text)


def _check(text: str) -> None:
    open_nodes: list[_Node] = [_Node("")]
    anchored: dict[str | None, int] = {}
    for event in yaml.parse(text, Loader=_LOADER):
        node = open_nodes[-1]
        if isinstance(event, yaml.AliasEvent):
            if any(one.anchor == event.anchor for one in open_nodes):
                raise _beyond(event, "holds an alias that contains itself")
            node.size += anchored.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            node.size += 1
            if event.anchor:
                anchored[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append(_Node(event.anchor or ""))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = open_nodes.pop()
            open_nodes[-1].size += ended.size
            if ended.anchor:
                anchored[ended.anchor] = ended.size
        if open_nodes[-1].size > MAX_NODES:
            raise _beyond(event, f"holds more than {MAX_NODES} nodes, each alias counted as what it stands for")
        if len(open_nodes) > MAX_DEPTH:
            raise _beyond(event, f"holds nodes nested more than {MAX_DEPTH} deep")


_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Node:
    """A mapping or sequence that has not ended."""

    __slots__ = ("anchor", "size")

    def __init__(self, anchor: str) -> None:
        self.anchor = anchor
        self.size = 1


def _beyond(event: yaml.Event, problem: str) -> BeyondBounds:
    return BeyondBounds(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]
