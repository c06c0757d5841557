"""`gateway run`: what it states before it serves."""

from __future__ import annotations

from pathlib import Path

from tests.commands import served

CONFIGURATION = """
database: {url: "sqlite:///gateway.db"}
hl7: {listeners: [{port: 0}]}
dicom: {port: 0}
http: {port: 0, token: short}
"""


async def test_what_is_open_to_others_is_a_warning_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIGURATION, encoding="utf-8")
    async with served(tmp_path) as command:
        errors = command.errors
    assert "open: http.token: has 5 characters; below 20 it can be tried out" in errors
    assert "open: dicom" not in errors
