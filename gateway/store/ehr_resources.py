"""The ledger: which resource of an EHR is which of ours, and the version seen last."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, text

from gateway.store.among import Among
from gateway.store.driver import in_one_round_trip
from gateway.store.engine import lock
from gateway.store.schema import ehr_resources as ledger
from gateway.store.set_statement import SetStatement
from gateway.store.statement import Statement

_GET: Final = Statement(
    select(ledger.c.identifier, ledger.c.resource_id, ledger.c.version, ledger.c.digest).where(
        ledger.c.ehr == bindparam("the_ehr"),
        ledger.c.kind == bindparam("the_kind"),
        Among(ledger.c.identifier, "identifiers"),
    )
)
_FORGET_OTHERS: Final = SetStatement(
    delete(ledger).where(
        ledger.c.ehr == bindparam("ehr"),
        ledger.c.kind == bindparam("kind"),
        ledger.c.resource_id == bindparam("resource_id"),
        ledger.c.identifier != bindparam("identifier"),
    )
)
_REMEMBER: Final = SetStatement(
    text(
        "INSERT INTO ehr_resources (ehr, kind, identifier, resource_id, version, digest, written_at) "
        "VALUES (:ehr, :kind, :identifier, :resource_id, :version, :digest, :written_at) "
        "ON CONFLICT (ehr, kind, identifier) DO UPDATE SET resource_id = excluded.resource_id, "
        "version = excluded.version, digest = excluded.digest, written_at = excluded.written_at"
    ).bindparams(*(bindparam(column.name, type_=column.type) for column in ledger.c if column is not ledger.c.id))
)


@dataclass(frozen=True, slots=True)
class ResourceKey:
    """`identifier` (`system|value`) of a resource of type `kind` at `ehr`."""

    ehr: str
    kind: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Entry:
    resource_id: str
    version: str
    digest: bytes
    """SHA-256 of what we wrote last; empty for a resource that was only found."""


def get(connection: Connection, key: ResourceKey) -> Entry | None:
    return get_all(connection, [key]).get(key)


def get_all(connection: Connection, keys: Collection[ResourceKey]) -> dict[ResourceKey, Entry]:
    """The entries that there are, by one statement for each EHR and type of resource."""
    entries = {}
    for ehr, kind in {(key.ehr, key.kind) for key in keys}:
        identifiers = [key.identifier for key in keys if (key.ehr, key.kind) == (ehr, kind)]
        for row in _GET.rows(connection, {"the_ehr": ehr, "the_kind": kind, "identifiers": identifiers}):
            key = ResourceKey(ehr, kind, row["identifier"])
            entries[key] = Entry(row["resource_id"], row["version"], bytes(row["digest"]))
    return entries


def remember(connection: Connection, noted: Sequence[tuple[ResourceKey, Entry]], *, now: int) -> None:
    """Note what EHRs hold of each key from now on.

    An id belongs to one identifier. Another identifier that the ledger has for this id is forgotten: the EHR lost that
    resource and has given its id again.
    """
    identifiers = (f"ehr|{key.ehr}|{key.kind}|{key.identifier}" for key, _ in noted)
    ids = (f"ehr|{key.ehr}|{key.kind}/{entry.resource_id}" for key, entry in noted)
    lock(connection, *identifiers, *ids)
    rows = [
        {
            "ehr": key.ehr, "kind": key.kind, "identifier": key.identifier, "resource_id": entry.resource_id,
            "version": entry.version, "digest": entry.digest, "written_at": now,
        }
        for key, entry in noted
    ]  # fmt: skip
    # An EHR that gives several resources one id: of these the last stands in the ledger.
    of_ids = {(row["ehr"], row["kind"], row["resource_id"]) for row in rows}
    are_distinct = len(of_ids) == len({key for key, _ in noted}) == len(rows)
    for one in [rows] if are_distinct else [[row] for row in rows]:
        with in_one_round_trip(connection):
            _FORGET_OTHERS.run_all(connection, one)
            _REMEMBER.run_all(connection, one)
