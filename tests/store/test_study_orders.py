"""By what a study leads to orders."""

from __future__ import annotations

from gateway.records.identifiers import StudyInstanceUID
from gateway.store import Store, study_orders


async def test_very_many_accession_numbers_are_looked_up_at_once(store: Store) -> None:
    """SQLite takes 500 parts of a statement, and PostgreSQL 65,535 values."""
    requested = {f"A{number}": "" for number in range(70_000)}
    clues = study_orders.Clues(StudyInstanceUID("1.2.3"), accession="B", requested=requested)
    assert await store.read(lambda connection: study_orders.tied(connection, clues)) == []
