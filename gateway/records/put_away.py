"""What a person has looked at and put away: it calls for nobody any more, and stays where it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import InvalidValue, RequiredEmpty

MOST_CHARACTERS: Final = 256
"""Of each word that a person gives."""


class Kind(StrEnum):
    MESSAGE = "m"
    """An HL7 message that was not applied."""
    REFUSAL = "r"
    """What arrived and could not be read at all."""


NOUNS: Final = {Kind.MESSAGE: "message", Kind.REFUSAL: "refusal"}


@dataclass(frozen=True, slots=True)
class PutAway:
    """Who puts something away, when (microseconds) and why. Raises `RequiredEmpty` without a note, `InvalidValue` for a
    word that is too long or holds NUL, which PostgreSQL cannot keep."""

    at: int
    person: str
    note: str

    def __post_init__(self) -> None:
        if not self.note.strip():
            raise RequiredEmpty("say why, for those who come later", place="note")
        for place, word in (("note", self.note), ("by", self.person)):
            if len(word) > MOST_CHARACTERS:
                raise InvalidValue(f"{len(word)} characters, at most {MOST_CHARACTERS} are kept", place=place)
            if "\0" in word:
                raise InvalidValue("it holds the character NUL", place=place)
