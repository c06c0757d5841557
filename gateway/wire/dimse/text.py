"""The text of a data set as its sender wrote it, where pydicom reads other characters.

Without Specific Character Set (0008,0005) the standard allows ASCII alone (PS3.3 C.12.1.1.2), and pydicom reads
ISO 8859-1; real senders write UTF-8 or Windows-1252. An escape sequence of ISO 2022 IR 58 stays in the text that
pydicom decodes, and Windows-1252 under the name of ISO_IR 100 becomes C1 controls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, PN_DELIMS, TEXT_VR_DELIMS

from gateway.wire.charsets import undeclared_text, windows_text

TEXT_VRS: Final = CUSTOMIZABLE_CHARSET_VR
"""Value representations in the character set of the data set (PS3.5 6.1.2.3)."""
ASCII_SETS: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
"""Values of Specific Character Set that declare no more than ASCII."""
_ESCAPES: Final = re.compile(r"\x1b(?:\$[()*+\-./]?|[()*+\-./])[@-~]")
"""Designations of ISO 2022."""
_WITH_BACKSLASH: Final = frozenset({"gb18030", "gbk", "shift_jis"})
"""Codecs in which the second byte of a character may be that of a backslash. As the last is read ISO_IR 13, under which
systems in Japan write Shift JIS."""
_FOREIGN: Final = bytes(range(0x80, 0x100))
Rule = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """How the bytes of text are read."""

    encodings: tuple[str, ...]
    """Python codecs: the first, and those that escape sequences switch to (PS3.5 6.1.2.5)."""
    rule: Rule

    @classmethod
    def of(cls, terms: Sequence[str]) -> CharacterSet:
        """The set of a Specific Character Set (0008,0005). In an undefined one only ASCII can be read; any other
        character becomes `?`, which matches any."""
        if not all(map(_is_defined, terms)):
            return _UNDEFINED
        if ASCII_SETS.issuperset(terms):
            return ASCII
        return cls(tuple(convert_encodings(list(terms))), windows_text)

    @classmethod
    def likely(cls, terms: Sequence[str]) -> CharacterSet:
        """The same, where an undefined term counts as none: text in no other set is UTF-8 or Windows-1252."""
        return cls.of([term if _is_defined(term) else "" for term in terms])

    def decoded(self, raw: bytes, vr: str, *, single: bool) -> list[str]:
        """The values of an element, still padded. `single`: a backslash is part of the value."""
        if raw.isascii() and b"\x1b" not in raw:
            text = raw.decode("ascii")
            return [text] if single else text.split("\\")
        if single or self.encodings[0].lower() in _WITH_BACKSLASH:
            text = self._decoded(raw, vr)
            return [text] if single else text.split("\\")
        return [self._decoded(part, vr) for part in raw.split(b"\\")]

    def _decoded(self, raw: bytes, vr: str) -> str:
        if b"\x1b" not in raw:
            return self.rule(raw.decode(self.encodings[0], "replace"))
        parts = raw.split(b"=") if vr == "PN" else [raw]
        delimiters = PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS
        return "=".join(_mended(decode_bytes(part, self.encodings, delimiters), self.rule) for part in parts)


def _is_defined(term: str) -> bool:
    """A Defined Term of PS3.3 C.12.1.1.2, one of the misspellings that pydicom mends, or a Python codec of text that
    reads any bytes; `hex`, `idna` and others do not."""
    spellings = {term, re.sub(r"^ISO[^_]IR", "ISO_IR", term), re.sub(r"^ISO.2022.IR.", "ISO 2022 IR ", term)}
    if spellings & set(python_encoding):
        return True
    try:
        _FOREIGN.decode(term, "replace")
    except (LookupError, ValueError):
        return False
    return True


def _only_ascii(text: str) -> str:
    return re.sub(r"[^\x00-\x7f]", "?", text)


ASCII: Final = CharacterSet(("latin_1",), undeclared_text)
_UNDEFINED: Final = CharacterSet(("latin_1",), _only_ascii)


def mend_texts(dataset: Dataset, inherited: Rule = undeclared_text) -> None:
    """Put the text that the sender wrote in the place of what pydicom decoded, in nested items too.

    `inherited`: the rule of the data set around an item, which counts unless the item names a character set.
    """
    rule = _rule_of(dataset, inherited)
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:  # pydicom reads a value when it is asked for; one without a value has no text
            continue
        if element.VR == "SQ":
            for item in element.value or ():
                mend_texts(item, rule)
        elif element.VR in TEXT_VRS:
            _mend(element, rule)


def _rule_of(dataset: Dataset, inherited: Rule) -> Rule:
    sets = dataset.get("SpecificCharacterSet")
    if sets is None:
        return inherited
    declared = set(sets) if isinstance(sets, MultiValue) else {str(sets)}
    return undeclared_text if declared <= ASCII_SETS else windows_text


def _mend(element: DataElement, rule: Rule) -> None:
    value = element.value
    if isinstance(value, MultiValue):
        texts: Any = [str(one) for one in value]
        if not all(map(_is_plain, texts)):
            element.value = [_mended(text, rule) for text in texts]
    elif value and not _is_plain(text := str(value)):
        element.value = _mended(text, rule)


def _is_plain(text: str) -> bool:
    return text.isascii() and "\x1b" not in text


def _mended(text: str, rule: Rule) -> str:
    return rule(_ESCAPES.sub("", text))
