"""What a transaction of the writer has been shown not to have, so that nobody asks for it again.

Most messages are of an order, a patient and an MSH-10 that are new: each look for them finds nothing. `read_ahead`
finds that out for all messages of a transaction at once and notes here what is absent. What a statement of the
transaction writes is absent no more: inserts and updates of the hot path name the keys that they write, any other
insert or update of these tables ends all that was noted of its table. What is deleted or taken back stays unknown,
and is asked for. Keys that another transaction could write are held before they are looked for (`keys`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, Insert, Table, Update
from sqlalchemy.event import listens_for
from sqlalchemy.sql import ClauseElement

from gateway.store.carried import carried, carrying

Kind = Literal["message", "patient", "study", "filler", "placer", "accession", "early study", "early accession"]
"""A message by MSH-3|MSH-4 and MSH-10, a patient by Patient ID and issuer, an order by one of its numbers; `early`: a
study or an unlinked item of a performed step by its Study Instance UID or accession number."""
Key = tuple[Kind, str, str]
"""A kind with its one or two values; the second of a single value is empty."""

KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "messages": ("message",),
    "patients": ("patient",),
    "orders": ("study", "filler", "placer", "accession"),
    "procedures": ("study",),
    "studies": ("early study", "early accession"),
    "study_requests": ("early accession",),
    "former_uids": ("early study",),
    "unlinked_items": ("early study", "early accession"),
}
"""Table -> the kinds of keys that a row of the table may make present."""
_NUMBERS: Final[Mapping[str, Kind]] = {
    "study_uid": "study", "filler": "filler", "placer": "placer", "accession": "accession",
}  # fmt: skip
_NAME: Final = "absences"


def begin(connection: Connection, absent: Iterable[Key]) -> None:
    """Let the transaction of `connection` know what is absent."""
    carrying(connection)[_NAME] = set(absent)


def are_absent(connection: Connection, keys: Iterable[Key]) -> bool:
    """Whether each of `keys` is known to be absent; False where that is not known."""
    absent: set[Key] | None = carried(connection).get(_NAME)
    return absent is not None and absent.issuperset(keys)


Written = Callable[[Connection, Mapping[str, Any]], None]


def written_by(statement: ClauseElement) -> Written | None:
    """What to call with the values that an insert or update of the hot path writes; None for other statements."""
    name = _table_of(statement)
    if name is None:
        return None
    keys_of = _KEYS.get(name)

    def written(connection: Connection, values: Mapping[str, Any]) -> None:
        absent: set[Key] | None = carried(connection).get(_NAME)
        if not absent:
            return
        if keys_of is None:
            _end(absent, name)
        else:
            absent.difference_update(keys_of(values))

    return written


def follow_writes(engine: Engine) -> None:
    """Let each insert and update that SQLAlchemy runs end what was noted of its table."""

    @listens_for(engine, "before_execute")
    def _written(connection: Connection, statement: ClauseElement, *_: object) -> None:
        if (name := _table_of(statement)) is not None and (absent := carried(connection).get(_NAME)):
            _end(absent, name)


def _table_of(statement: ClauseElement) -> str | None:
    """The table of an insert or update, if a row of it may make a key present."""
    if isinstance(statement, Insert | Update) and isinstance(statement.table, Table) and statement.table.name in KINDS:
        return statement.table.name
    return None


def _end(absent: set[Key], table: str) -> None:
    kinds = KINDS[table]
    absent.difference_update([key for key in absent if key[0] in kinds])


def _message(values: Mapping[str, Any]) -> Sequence[Key]:
    return (("message", values["sender"], values["control_id"]),)


def _patient(values: Mapping[str, Any]) -> Sequence[Key]:
    return (("patient", values["patient_id"], values["issuer"]),)


def _order(values: Mapping[str, Any]) -> Sequence[Key]:
    return [(kind, values[column], "") for column, kind in _NUMBERS.items() if column in values]


def _unlinked(values: Mapping[str, Any]) -> Sequence[Key]:
    return (("early study", values["study_uid"], ""), ("early accession", values["accession"], ""))


_KEYS: Final[Mapping[str, Callable[[Mapping[str, Any]], Sequence[Key]]]] = {
    "messages": _message, "patients": _patient, "orders": _order, "procedures": _order, "unlinked_items": _unlinked,
}  # fmt: skip
"""Table -> the keys that the values of a row make present."""
