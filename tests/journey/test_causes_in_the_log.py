"""What the log names of a failure: the class, the code, and the key by which pages and commands name the cause; never
what a patient is called. On SQLite alone: no statement differs."""

from __future__ import annotations

import re

import pytest

from gateway.assembly import process as app
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import orm
from tests.journey.running import config_of


async def test_a_message_that_was_not_applied_is_a_line_with_class_place_and_cause(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        app.running(config_of(sqlite_url)) as gateway,
        MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as ris,
    ):
        assert b"MSA|AE|" in await ris.send(orm(modality="KT"))
        assert b"MSA|AA|" in await ris.send(orm(control_id="MSG2"))
    lines = [record.getMessage() for record in caplog.records if "not applied" in record.getMessage()]
    assert len(lines) == 1
    assert re.fullmatch(
        r"ris: a message from 127\.0\.0\.1 was not applied: \w+ at OBR-24.*, cause [0-9a-f]{8}", lines[0]
    ), lines
    assert "MUSTER" not in caplog.text
