"""RFC 5424: the header, and names that are none."""

from __future__ import annotations

from gateway.wire.syslog.message import IHE, WARNING, SyslogHeader, octet_counted


def test_a_message_as_the_standard_writes_it() -> None:
    header = SyslogHeader("gateway.example.org", "imaging-gateway", process_id=lambda: 7)
    written = header.message("<é/>".encode(), 1_796_000_000_123_456)
    head, _, body = written.partition(b"\xef\xbb\xbf")
    assert head == b"<85>1 2026-11-30T00:53:20.123Z gateway.example.org imaging-gateway 7 DICOM+RFC3881 - "
    assert body.decode() == "<é/>"


def test_names_hold_nothing_but_visible_ascii() -> None:
    header = SyslogHeader("höst name\n", "", IHE, process_id=lambda: 7)
    assert header.message(b"x", 0, severity=WARNING).startswith(
        b"<84>1 1970-01-01T00:00:00.000Z h_st_name_ - 7 IHE+RFC-3881 - "
    )


def test_a_frame_counts_octets() -> None:
    assert octet_counted("é".encode()) == b"2 \xc3\xa9"
