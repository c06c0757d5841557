"""What the answers of archives with STOW-RS come to."""

from __future__ import annotations

import pytest

from gateway.journey.image_forwarding.by_stow import judged
from gateway.records.image_forwarding import StoreVerdict
from gateway.wire.dicomweb.store_answer import Listed, StoreAnswer

V, L = StoreVerdict, Listed


@pytest.mark.parametrize(
    ("status", "listed", "reason", "verdict", "shown", "warning"),
    [
        (200, L.STORED, None, V.DONE, "HTTP 200", ""),
        (202, L.STORED, 0xB000, V.DONE, "HTTP 202", "coercion of data elements"),
        (409, L.STORED, None, V.DOUBT, "HTTP 409", ""),
        (200, L.FAILED, 0xA700, V.RETRY, "A700", ""),
        (409, L.FAILED, 0x0110, V.DOUBT, "0110", ""),
        (409, L.FAILED, 0xA900, V.PARK, "A900", ""),
        (409, L.FAILED, 0xC122, V.PARK, "C122", ""),
        (409, L.FAILED, 0x0111, V.DONE, "0111", ""),
        (202, L.FAILED, 0x0000, V.PARK, "0000", ""),
        (202, L.FAILED, 0xB000, V.PARK, "B000", ""),
        (409, L.FAILED, None, V.DOUBT, "HTTP 409", ""),
        (200, L.NOWHERE, None, V.DOUBT, "HTTP 200", ""),
        (204, L.NOWHERE, None, V.DOUBT, "HTTP 204", ""),
        (409, L.NOWHERE, None, V.DOUBT, "HTTP 409", ""),
        (302, L.NOWHERE, None, V.PARK, "HTTP 302", ""),
        (401, L.NOWHERE, None, V.PARK, "HTTP 401", ""),
        (413, L.NOWHERE, None, V.PARK, "HTTP 413", ""),
        (501, L.NOWHERE, None, V.PARK, "HTTP 501", ""),
    ],
)
def test_only_what_is_listed_as_stored_is_stored(
    status: int, listed: Listed, reason: int | None, verdict: StoreVerdict, shown: str, warning: str
) -> None:
    answer = judged(StoreAnswer(status, listed, reason))
    assert (answer.verdict, answer.status, answer.warning) == (verdict, shown, warning)
