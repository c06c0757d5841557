"""The fixtures themselves: what each test gets is its own, and what is missing is said."""

from __future__ import annotations

import psycopg
import pytest

from tests.peers.fhir_server import FhirServer
from tests.peers.process import found, missing, run


@pytest.mark.parametrize("once", [1, 2])
def test_every_test_has_an_empty_database(postgres_url: str, once: int) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)
        connection.execute("CREATE TABLE left_behind (id int)")


@pytest.mark.parametrize("once", [1, 2])
async def test_every_test_has_an_empty_fhir_server(fhir_server: FhirServer, once: int) -> None:
    assert await fhir_server.resources("Patient") == []
    await fhir_server.create({"resourceType": "Patient", "active": True})
    assert [one["active"] for one in await fhir_server.resources("Patient")] == [True]


def test_a_missing_peer_is_a_failure_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"nothing is not installed; run: make peers"):
        missing("nothing", "make peers")


def test_a_missing_peer_is_a_skip_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program is not installed; run: make peers"):
        found("no-such-program", "make peers")


async def test_a_program_that_hangs_is_killed() -> None:
    with pytest.raises(TimeoutError):
        await run("sleep", "60", timeout=0.1)
