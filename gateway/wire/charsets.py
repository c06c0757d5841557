"""HL7 table 0211 (MSH-18, alternate character sets) and the Python codecs that read its entries.

HL7 2.5.1 ch. 2.15.9.18: the first repetition of MSH-18 is the set in which the message begins, the others are
sets it may switch to (ISO 2022 escapes, MSH-20).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

BYTE_ORDER_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\xef\xbb\xbf", "utf_8"),
    (b"\xff\xfe", "utf_16_le"),
    (b"\xfe\xff", "utf_16_be"),
)

TABLE_0211: dict[str, tuple[str, ...]] = {
    "ASCII": ("ascii",),
    "8859/1": ("latin_1",),
    "8859/2": ("iso8859_2",),
    "8859/3": ("iso8859_3",),
    "8859/4": ("iso8859_4",),
    "8859/5": ("iso8859_5",),
    "8859/6": ("iso8859_6",),
    "8859/7": ("iso8859_7",),
    "8859/8": ("iso8859_8",),
    "8859/9": ("iso8859_9",),
    "8859/15": ("iso8859_15",),
    "ISO IR6": ("ascii",),
    "ISO IR14": ("shift_jis",),
    "ISO IR87": ("iso2022_jp",),
    "ISO IR159": ("iso2022_jp_2",),
    "KS X 1001": ("euc_kr",),
    "GB 18030-2000": ("gb18030",),
    "BIG-5": ("big5", "cp950", "big5hkscs"),
    "UNICODE": ("utf_8",),
    "UNICODE UTF-8": ("utf_8",),
    # An MSH that can be read one byte a character is not UTF-16 or UTF-32, whatever MSH-18 says; senders of
    # these names mean UTF-8. Real UTF-16 is known by its byte order mark.
    "UNICODE UTF-16": ("utf_8",),
    "UNICODE UTF-32": ("utf_8",),
}

_ALIASES: dict[str, tuple[str, ...]] = {
    "US-ASCII": ("ascii",),
    "UTF-8": ("utf_8",),
    **{f"ISO-8859-{part}": TABLE_0211[f"8859/{part}"] for part in (*range(1, 10), 15)},
    "LATIN1": ("latin_1",),
    **{f"Windows-{page}": (f"cp{page}",) for page in range(1250, 1259)},
    **{f"CP{page}": (f"cp{page}",) for page in range(1250, 1259)},
    "Shift_JIS": ("shift_jis",),
    "ISO-2022-JP": ("iso2022_jp",),
    "EUC-KR": ("euc_kr",),
    "GB18030": ("gb18030",),
    "GBK": ("gb18030",),
    "GB2312": ("gb18030",),
    # Defined terms of DICOM's Specific Character Set (PS3.3 C.12.1.1.2), which some send instead.
    "ISO_IR 100": ("latin_1",),
    "ISO_IR 101": ("iso8859_2",),
    "ISO_IR 144": ("iso8859_5",),
    "ISO_IR 166": ("tis_620",),
    "ISO_IR 192": ("utf_8",),
}


def _key(name: str) -> str:
    """`ISO-8859-1`, `iso 8859/1` and `ISO_8859-1` are one name."""
    return re.sub(r"[\s_/-]", "", name).upper()


_CODECS = {_key(name): codecs for name, codecs in (TABLE_0211 | _ALIASES).items()}

_C1_CONTROLS = re.compile(rb"[\x80-\x9f]")
_MULTI_BYTE_DESIGNATOR = b"\x1b$"


@lru_cache(maxsize=256)
def codecs_of(name: str) -> tuple[str, ...]:
    """The codecs that may read what `name` declares, the likeliest first; () when the name is unknown."""
    return _CODECS.get(_key(name), ())


_WINDOWS: Final = {
    code: bytes([code]).decode("cp1252") for code in range(0x80, 0xA0) if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


def windows_text(text: str) -> str:
    """Text with the characters of Windows-1252 in place of C1 controls, which no sender writes."""
    return text if text.isascii() else text.translate(_WINDOWS)


def undeclared_text(text: str) -> str:
    """The text of bytes without a declared character set, which a decoder has read as ISO 8859-1.

    The bytes are UTF-8 if they can be, else Windows-1252: the rule of an HL7 message without MSH-18.
    """
    if text.isascii():
        return text
    try:
        return text.encode("latin_1").decode()
    except UnicodeError:
        return windows_text(text)


def is_known(name: str) -> bool:
    return bool(codecs_of(name))


_NAMES: Final = {codecs[0]: name for name, codecs in reversed(TABLE_0211.items())} | {"utf_8": "UNICODE UTF-8"}


def table_name(name: str) -> str:
    """The name in table 0211 of the set that `name` stands for; `name` itself where the table has none, such as
    windows-1252."""
    codecs = codecs_of(name)
    return _NAMES.get(codecs[0], name) if codecs else name


def candidates(names: Sequence[str], data: bytes, fallback: str) -> tuple[str, ...]:
    """The codecs to try on `data`, in order, for the repetitions of MSH-18; () for an unknown name that matters.

    `fallback` is what this sender is known to use while declaring nothing, or ASCII.
    """
    declared = [codecs_of(name) for name in names if name.strip()]
    if not all(declared):
        # Every set of table 0211 has ASCII: what stands in MSH-18 makes no difference.
        return ("ascii",) if data.isascii() and b"\x1b" not in data else ()
    plain = all(codecs == ("ascii",) for codecs in declared)
    if not plain:
        return _with_windows(_begun_in([codecs for codecs in declared if codecs != ("ascii",)]), data)
    if data.isascii() and b"\x1b" not in data:
        return ("ascii",)
    known = _with_windows(codecs_of(fallback), data) if fallback.strip() else ()
    if declared:
        return known or ("ascii",)
    switching = ("iso2022_jp_2",) if _MULTI_BYTE_DESIGNATOR in data and data.isascii() else ()
    return (*known, *switching, "utf_8", "cp1252")


def _begun_in(declared: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The codecs for sets that switch among one another. All but ISO IR14 and the kanji sets stand alone."""
    first = declared[0]
    if first[0] not in {"shift_jis", "iso2022_jp", "iso2022_jp_2"} or len(declared) == 1:
        return first
    members = {codecs[0] for codecs in declared}
    if "shift_jis" in members and members & {"iso2022_jp", "iso2022_jp_2"}:
        return ("iso2022_jp_ext",)
    return ("iso2022_jp_2",) if "iso2022_jp_2" in members else first


def _with_windows(codecs: tuple[str, ...], data: bytes) -> tuple[str, ...]:
    """Declared ISO 8859-1 is often Windows-1252, which has letters in place of C1 controls."""
    return ("cp1252", "latin_1") if codecs == ("latin_1",) and _C1_CONTROLS.search(data) else codecs
