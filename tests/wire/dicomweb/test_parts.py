"""Bodies of several parts, cut into pieces at every byte: the same parts, whatever the pieces."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.wire.dicomweb.parts import MAX_HEAD_BYTES, Event, PartBegins, PartEnds, PartsReader

Parts = list[tuple[dict[str, str], bytes]]
BOUNDARY = "=_b:1"


def read(body: bytes, *, piece: int | list[int] = 1 << 30, boundary: str = BOUNDARY) -> tuple[Parts, str]:
    """The parts that are whole, and why the body is not."""
    reader, parts, open_part = PartsReader(boundary), [], None

    def take(event: Event) -> None:
        nonlocal open_part
        if isinstance(event, PartBegins):
            open_part = (dict(event.headers), bytearray())
        elif isinstance(event, PartEnds):
            assert open_part is not None
            parts.append((open_part[0], bytes(open_part[1])))
            open_part = None
        else:
            assert open_part is not None
            assert event
            open_part[1].extend(event)

    ends = list(range(piece, len(body), piece)) if isinstance(piece, int) else sorted(piece)
    try:
        for begin, end in zip([0, *ends], [*ends, len(body)], strict=True):
            for event in reader.feed(body[begin:end]):
                take(event)
        for event in reader.finish():
            take(event)
    except Malformed as error:
        return parts, error.message
    return parts, ""


def body_of(*parts: bytes, newline: bytes = b"\r\n", last: bytes = b"--") -> bytes:
    line = newline + b"--" + BOUNDARY.encode()
    written = b"".join(line + newline + b"Content-Type: a/b" + newline * 2 + part for part in parts)
    return written.removeprefix(newline) + line + last + newline


def plain(*parts: bytes) -> Parts:
    return [({"content-type": "a/b"}, part) for part in parts]


DATA = b"one\r\n--=_b:1x\r\n--=_b:\n--\r"
"""Much that looks like a delimiter."""
CASES: dict[str, tuple[bytes, Parts, str]] = {
    "two": (body_of(DATA, b"\r\n"), plain(DATA, b"\r\n"), ""),
    "line ends of LF": (body_of(b"a\r\nb\r", b"c", newline=b"\n"), plain(b"a\r\nb\r", b"c"), ""),
    "empty parts": (body_of(b"", b""), plain(b"", b""), ""),
    "preamble and epilogue": (b"--=_b:12\r\nhello\r\n" + body_of(b"a") + b"--=_b:1\r\nbye", plain(b"a"), ""),
    "a line before": (b"\r\n" + body_of(b"a"), plain(b"a"), ""),
    "no line end behind": (body_of(b"a")[:-2], plain(b"a"), ""),
    "no dashes at the end": (body_of(b"a", last=b""), plain(b"a"), ""),
    "neither": (body_of(b"a", last=b"")[:-2], plain(b"a"), ""),
    "padding": (body_of(b"a", last=b"-- \t").replace(b"_b:1\r", b"_b:1 \t \r"), plain(b"a"), ""),
    "no header fields": (b"--=_b:1\r\n\r\nabc\r\n--=_b:1--", [({}, b"abc")], ""),
    "empty without blank line": (b"--=_b:1\r\nA: b\r\n\r\n--=_b:1--", [({"a": "b"}, b"")], ""),
    "folded header field": (
        b'--=_b:1\r\nContent-Type: multipart/related;\r\n type="x/y"\r\nContent-Location: /1 \r\n\r\nx\r\n--=_b:1--',
        [({"content-type": 'multipart/related; type="x/y"', "content-location": "/1"}, b"x")],
        "",
    ),
    "nested": (
        body_of(b"--in\r\nA: b\r\n\r\nx\r\n--in--\r\n", b"y"),
        plain(b"--in\r\nA: b\r\n\r\nx\r\n--in--\r\n", b"y"),
        "",
    ),
    "cut off in a part": (body_of(b"whole", b"half")[:-14], plain(b"whole"), "the body is cut off within a part"),
    "cut off in header fields": (body_of(b"whole", b"")[:-22], plain(b"whole"), "the body is cut off within a part"),
    "nothing": (b"", [], "no part; Content-Type names the boundary that stands between them"),
    "no delimiter": (b"DICM", [], "no part; Content-Type names the boundary that stands between them"),
    "only the end": (b"--=_b:1--\r\n", [], ""),
    "no blank line": (
        b"--=_b:1\r\nA: b\r\n--=_b:1\r\nC: d\r\n\r\nx\r\n--=_b:1--",
        [],
        "a part without the blank line behind its header fields",
    ),
    "endless header fields": (
        b"--=_b:1\r\nA: " + b"b" * MAX_HEAD_BYTES,
        [],
        f"header fields of a part of more than {MAX_HEAD_BYTES} bytes",
    ),
}


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1 << 30])
@pytest.mark.parametrize("case", CASES)
def test_a_body_in_pieces(case: str, piece: int) -> None:
    body, parts, fault = CASES[case]
    assert read(body, piece=piece if len(body) < 1000 else max(piece, 500)) == (parts, fault)


@pytest.mark.parametrize("case", [name for name, (body, _, _) in CASES.items() if len(body) < 1000])
def test_a_body_cut_in_two_at_every_byte(case: str) -> None:
    body, parts, fault = CASES[case]
    for at in range(len(body)):
        assert read(body, piece=[at]) == (parts, fault)


@pytest.mark.parametrize("boundary", ["", "x" * 257, "grün"])
def test_what_is_no_boundary(boundary: str) -> None:
    with pytest.raises(Malformed, match="a boundary has 1 to 256 characters"):
        PartsReader(boundary)


NEARLY = st.sampled_from([b"\r", b"\n", b"\r\n", b"--", BOUNDARY.encode(), b"\r\n--" + BOUNDARY.encode()[:-1], b"x"])
CONTENT = st.lists(NEARLY | st.binary(max_size=8), max_size=12).map(b"".join)
LIKE_A_DELIMITER = b"\n--" + BOUNDARY.encode()


@given(parts=st.lists(CONTENT, min_size=1, max_size=4), data=st.data())
def test_whatever_was_written_is_read(parts: list[bytes], data: st.DataObject) -> None:
    written = body_of(*parts)
    cuts = data.draw(st.lists(st.integers(0, len(written)), max_size=6))
    assume(all(LIKE_A_DELIMITER not in b"\n" + part for part in parts))
    assert read(written, piece=cuts) == (plain(*parts), "")


@given(
    body=st.lists(NEARLY | st.just(b"--" + BOUNDARY.encode() + b"\r\n\r\n"), max_size=20).map(b"".join), data=st.data()
)
def test_any_bytes_give_the_same_in_any_pieces(body: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    assert read(body, piece=cuts) == read(body)
