"""The ledger: which resource of an EHR is which of ours, and the version seen last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from gateway.store.engine import lock
from gateway.store.schema import ehr_resources as ledger

_ONE: Final = (
    (ledger.c.ehr == bindparam("the_ehr"))
    & (ledger.c.kind == bindparam("the_kind"))
    & (ledger.c.identifier == bindparam("the_identifier"))
)
_GET: Final = select(ledger.c.resource_id, ledger.c.version, ledger.c.digest).where(_ONE)
_CHANGE: Final = update(ledger).where(_ONE)
_FORGET_OTHERS: Final = delete(ledger).where(
    ledger.c.ehr == bindparam("the_ehr"),
    ledger.c.kind == bindparam("the_kind"),
    ledger.c.resource_id == bindparam("the_id"),
    ledger.c.identifier != bindparam("the_identifier"),
)


@dataclass(frozen=True, slots=True)
class ResourceKey:
    """`identifier` (`system|value`) of a resource of type `kind` at `ehr`."""

    ehr: str
    kind: str
    identifier: str

    def values(self) -> dict[str, str]:
        return {"the_ehr": self.ehr, "the_kind": self.kind, "the_identifier": self.identifier}


@dataclass(frozen=True, slots=True)
class Entry:
    resource_id: str
    version: str
    digest: bytes
    """SHA-256 of what we wrote last; empty for a resource that was only found."""


def get(connection: Connection, key: ResourceKey) -> Entry | None:
    row = connection.execute(_GET, key.values()).first()
    return Entry(*row) if row else None


def remember(connection: Connection, key: ResourceKey, entry: Entry, *, now: int) -> None:
    """Note what the EHR holds of `key` from now on.

    An id belongs to one identifier. Another identifier that the ledger has for this id is forgotten: the EHR lost that
    resource and has given its id again.
    """
    lock(connection, f"ehr|{key.ehr}|{key.kind}|{key.identifier}", f"ehr|{key.ehr}|{key.kind}/{entry.resource_id}")
    connection.execute(_FORGET_OTHERS, key.values() | {"the_id": entry.resource_id})
    values = {
        "resource_id": entry.resource_id, "version": entry.version, "digest": entry.digest, "written_at": now,
    }  # fmt: skip
    if not connection.execute(_CHANGE.values(**values), key.values()).rowcount:
        connection.execute(insert(ledger), {"ehr": key.ehr, "kind": key.kind, "identifier": key.identifier, **values})
