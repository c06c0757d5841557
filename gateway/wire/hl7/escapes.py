"""The delimiters of an HL7 v2 message and the escapes for text that holds them (HL7 2.5.1 ch. 2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from gateway.errors import Malformed, Place

LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The separators of one message, from its MSH-1 and MSH-2. "" stands for one the sender does not have."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


def read_delimiters(msh: str) -> Delimiters:
    """The delimiters that an MSH segment declares. Raises Malformed naming `MSH-1` or `MSH-2`."""
    separator = msh[3:4]
    if not _may_delimit(separator):
        raise Malformed("the field separator must be one ASCII punctuation character, such as |", place=Place("MSH", 1))
    characters, ended, _ = msh[4:].partition(separator)
    if not ended:
        raise Malformed("the segment ends before MSH-3", place=Place("MSH"))
    return _delimiters(separator, characters)


@lru_cache(maxsize=64)
def _delimiters(separator: str, characters: str) -> Delimiters:
    if not 1 <= len(characters) <= 5 or not all(map(_may_delimit, characters)):
        raise Malformed(r"the encoding characters must be punctuation, such as ^~\&", place=Place("MSH", 2))
    if len({separator, *characters}) != len(characters) + 1:
        raise Malformed("two delimiters are the same character", place=Place("MSH", 2))
    # `^~&` lacks the escape character, not the subcomponent separator. A fifth one (2.7) is for truncation.
    component, repetition, escape, subcomponent = (*characters[:4], *[""] * (4 - len(characters[:4])))
    if len(characters) == 3 and escape == "&":
        escape, subcomponent = "", "&"
    return Delimiters(separator, component, repetition, escape, subcomponent)


def _may_delimit(character: str) -> bool:
    return "!" <= character <= "~" and not character.isalnum()


_MAX_SKIP = 100
"""Lines or spaces that one \\.sp n\\ or \\.sk n\\ may ask for; more is an attack, not a layout."""


def unescape(text: str, delimiters: Delimiters, codec: str) -> str:
    """Resolve the escape sequences of HL7 2.5.1 ch. 2.7. What is not a sequence stays as it is (`4\\5`)."""
    escape = delimiters.escape
    if not escape or escape not in text:
        return text
    sequences = _sequences(escape)
    return sequences.sub(lambda match: _resolve(match, delimiters, codec), text)


@lru_cache(maxsize=64)
def _sequences(escape: str) -> re.Pattern[str]:
    e = re.escape(escape)
    return re.compile(
        rf"{e}(?:(?P<letter>[FSTREPHN])|\.(?P<command>br|sp|sk|ce|in|ti|fi|nf) ?(?P<count>[+-]?[0-9]{{0,9}})"
        rf"|(?P<dropped>Z[^{e}]*|C[0-9A-Fa-f]{{4}}|M[0-9A-Fa-f]{{4}}(?:[0-9A-Fa-f]{{2}})?)){e}"
        # One character may be spread over neighbouring hex sequences.
        rf"|(?P<hex>(?:{e}X[0-9A-Fa-f]+{e}){{1,1000}})"
    )


_LETTERS: dict[str, Callable[[Delimiters], str]] = {
    "F": lambda delimiters: delimiters.field,
    "S": lambda delimiters: delimiters.component or "^",
    "T": lambda delimiters: delimiters.subcomponent or "&",
    "R": lambda delimiters: delimiters.repetition or "~",
    "E": lambda delimiters: delimiters.escape,
    "P": lambda delimiters: "#",
    "H": lambda delimiters: "",
    "N": lambda delimiters: "",
}

_COMMANDS: dict[str, str] = {"br": "\r\n", "sp": "\r\n", "ce": "\r\n", "sk": " "}
"""What a formatting command (ch. 2.7.6) leaves in plain text; indents and wrapping leave nothing."""


def _resolve(match: re.Match[str], delimiters: Delimiters, codec: str) -> str:
    if letter := match["letter"]:
        return _LETTERS[letter](delimiters)
    if command := match["command"]:
        counts = command in {"sp", "sk"} and match["count"].isdigit()
        return _COMMANDS.get(command, "") * (min(int(match["count"]), _MAX_SKIP) if counts else 1)
    if match["hex"]:
        return _hex(match["hex"], delimiters.escape, codec)
    return ""


def _hex(sequences: str, escape: str, codec: str) -> str:
    """\\Xdd..\\ read in the message's character set; kept as sent when it is no text in it."""
    runs = [run[1:] for run in sequences.split(escape) if run]
    data = bytes.fromhex("".join(run.zfill(len(run) + len(run) % 2) for run in runs)).replace(b"\0", b"")
    for candidate in (codec, "utf_8", "cp1252") if codec == "ascii" else (codec,):
        try:
            return LINE_BREAK.sub("\r\n", data.decode(candidate))
        except UnicodeError:
            continue
    return sequences


def escape(text: str, delimiters: Delimiters) -> str:
    """Make any text safe as one leaf of a message we send: delimiters as sequences, line breaks as \\.br\\,
    control characters as hex; spaces instead where there is no escape character."""
    return text.replace("\r\n", "\n").translate(_escapes(delimiters))


@lru_cache(maxsize=64)
def _escapes(delimiters: Delimiters) -> dict[int, str]:
    table = {control: f"X{control:02X}" for control in range(0x20)} | {0x0A: ".br", 0x0D: ".br"}
    named = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
    }
    table |= {ord(character): letter for letter, character in named.items() if character}
    e = delimiters.escape
    return {character: f"{e}{sequence}{e}" if e else " " for character, sequence in table.items()}
