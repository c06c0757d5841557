"""Bodies of forms that somebody without a login may send."""

from __future__ import annotations

import logging

import pytest

from gateway.web.forms import FORM
from tests.web.served import served


@pytest.mark.parametrize(
    ("content_type", "body", "place"),
    [
        # Python's decoder of it takes time by the square of the length: minutes for a form of a megabyte.
        (f"{FORM}; charset=punycode", b"name=a&password=b", "Content-Type"),
        (f"{FORM}; charset=utf-16", b"name=a&password=b", "Content-Type"),
        (f"{FORM}; charset=no-such-set", b"name=a&password=b", "Content-Type"),
        (FORM, b"name=\xff\xfe&password=b", "Content-Type"),
        (FORM, b"name=a&password=b&" + b"x" * 900_000, "x" * 64),
    ],
    ids=["punycode", "utf-16", "unknown", "no UTF-8", "long name"],
)
async def test_a_form_that_costs_time_or_cannot_be_read_is_refused_in_short(
    sqlite_url: str, content_type: str, body: bytes, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(sqlite_url, token="a token of the tests") as console:
        with caplog.at_level(logging.WARNING):
            status, answer = await console.post("/login", data=body, headers={"Content-Type": content_type})
        assert (status, answer["error"]["place"]) == (400, place)
        assert caplog.records == []
