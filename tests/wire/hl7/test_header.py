"""What messages of a sender have in common is read once; MSH-7 and MSH-10 are each message's own."""

from __future__ import annotations

import pytest

from gateway.wire.hl7.header import KEPT_CHARACTERS
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.parsing import parse


def message(header: str, charset: str = "utf-8") -> Message:
    return parse(f"{header}\rPID|1\r".encode(charset))


def test_messages_that_differ_in_time_and_control_id_share_a_header() -> None:
    first = message("MSH|^~\\&|RIS|A|G|B|20260101||ORM^O01|1|P|2.5.1|||AL|NE")
    second = message("MSH|^~\\&|RIS|A|G|B|20260202||ORM^O01|2|P|2.5.1|||AL|NE")
    assert first.header is second.header
    assert (first.control_id, second.control_id) == ("1", "2")
    assert (first.timestamp, second.timestamp) == ("20260101", "20260202")
    assert (first.type, first.trigger, first.version, first.processing_id) == ("ORM", "O01", "2.5.1", "P")
    assert (first.sending_application, first.sending_facility) == ("RIS", "A")
    assert (first.receiving_application, first.receiving_facility) == ("G", "B")
    assert (first.accept_acknowledgement, first.application_acknowledgement) == ("AL", "NE")


@pytest.mark.parametrize(
    ("written", "application", "kind"),
    [
        ("MSH|^~\\&|RIS^x|A||||x|ORM^O01|1", "RIS", "ORM"),
        ("MSH|^~\\&|R\\T\\S|A||||x|ORM|1", "R&S", "ORM"),
        ("MSH$%~\\&$RIS%y$A$$$$x$ORM%O01$1", "RIS", "ORM"),
        ("MSH|^~\\&|RIS", "RIS", ""),
        ("MSH|^~\\&|RIS|A|||20260101", "RIS", ""),
    ],
)
def test_a_header_is_read_with_its_own_delimiters_and_length(written: str, application: str, kind: str) -> None:
    for _ in range(2):
        read = message(written)
        assert (read.sending_application, read.type, read.application_acknowledgement) == (application, kind, "")


def test_the_character_set_tells_headers_apart() -> None:
    read = [message("MSH|^~\\&|R\\XE4\\S|A|||1||ORM|1|P|2.5|||||" + f"|{name}") for name in ("8859/1", "8859/5")]
    assert [one.sending_application for one in read] == ["RäS", "RфS"]


def test_a_long_header_is_not_kept() -> None:
    first, second = (message(f"MSH|^~\\&|{'R' * KEPT_CHARACTERS}|A|||1||ORM|1") for _ in range(2))
    assert first.header is not second.header
    assert first.sending_application == second.sending_application
