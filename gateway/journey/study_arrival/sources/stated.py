"""What a source may state of a study: values that no study has are as if they were absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from gateway.records.identifiers import LONGEST_UID

STUDY_UID: Final = 0x0020000D
_LONGEST_NUMBER: Final = 12
"""Characters of an Integer String (PS3.5 Table 6.2-1)."""
_MOST: Final = 2**31 - 1


class Values(Protocol):
    """An attribute of an answer."""

    @property
    def values(self) -> tuple[str, ...]: ...


def text_of(answer: Mapping[int, Values], tag: int) -> str:
    """The first value of an attribute; empty: there is none."""
    values = answer[tag].values if tag in answer else ()
    return values[0].strip().rstrip("\0") if values else ""


def count_of(text: str) -> int | None:
    """A number of series or instances, which some archives write with a fraction; None: it is none."""
    try:
        number = float(text) if len(text) <= _LONGEST_NUMBER else -1.0
    except ValueError:
        return None
    return int(number) if 0 <= number <= _MOST else None


def is_uid(text: str) -> bool:
    """Whether it can be the UID of a study, also of an archive that makes odd ones."""
    return 0 < len(text) <= LONGEST_UID and text.isascii() and text.isprintable()
