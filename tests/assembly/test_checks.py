from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.commands import Command, gateway

FORWARDING = "studies: {storage: forward, spool: {folder: spool}}\n"
FINDING = "forward without the codecs (imaging-gateway[pixels])"


def without_codecs() -> None:
    """As `import` finds a module that is not installed."""
    sys.modules["imagecodecs"] = None  # type: ignore[assignment]


@pytest.mark.parametrize("codecs", [False, True], ids=["without", "with"])
async def test_forwarding_without_the_codecs_is_named(codecs: bool, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(FORWARDING, encoding="utf-8")
    check = Command(("check", "--offline"), tmp_path, {}, None if codecs else without_codecs)
    try:
        assert await check.ended() == 0, check.errors
        assert (FINDING in check.output) is not codecs
    finally:
        await check.end()


async def test_keys_without_an_effect_are_named(tmp_path: Path) -> None:
    text = "reconcile: {fix: true}\nstudies: {quiet_seconds: 9, longest_wait_seconds: 5}\n"
    (tmp_path / "gateway.yaml").write_text(text, encoding="utf-8")
    done = await gateway("check", "--offline", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note   reconcile.days: not set" in done.stdout
    assert "note   studies.longest_wait_seconds: shorter than quiet_seconds" in done.stdout
