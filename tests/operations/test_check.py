"""What a check states of a database that can be reached."""

from __future__ import annotations

from gateway.operations.check import check_database
from gateway.store.migrations import newest


def test_a_check_states_how_many_connections_there_are(database_url: str) -> None:
    found = check_database(database_url, 60.0)
    assert found.ok
    assert f"reachable, schema {newest()}" in found.detail
    assert ("of which a process of the gateway takes up to 7" in found.detail) == database_url.startswith("postgresql")
