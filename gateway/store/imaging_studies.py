"""ImagingStudy resources as the gateway itself serves them, and the values they are found by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.search import Compared, Findable, Period, SearchParameters, TokenAsked
from gateway.store.engine import lock
from gateway.store.schema import EMPTY, studies
from gateway.store.schema import imaging_studies as served
from gateway.store.schema import imaging_study_tokens as tokens
from gateway.store.study_keys import lock_of_served

UNKNOWN: Final = Period(-(2**62), -(2**62))
"""`started` of a study that does not say it: before all others, so that an index can sort them."""

YEAR: Final = 367 * 86_400_000_000
"""Microseconds that are longer than any year."""


class Served(NamedTuple):
    row: int
    study_uid: StudyInstanceUID
    """Its logical id too: a UID is made of nothing but what a FHIR id may hold."""
    version: int
    updated_at: int
    """Microseconds."""
    started: int
    resource: dict[str, Any]


_COLUMNS: Final = (
    served.c.id, served.c.study_uid, served.c.version, served.c.updated_at, served.c.started_from, served.c.resource,
)  # fmt: skip
_GET: Final = select(*_COLUMNS).where(served.c.study_uid == bindparam("the_uid"))
_KNOWN: Final = select(served.c.id, served.c.version, served.c.revision, served.c.digest).where(
    served.c.study_uid == bindparam("the_uid")
)


def get(connection: Connection, study_uid: StudyInstanceUID) -> Served | None:
    row = connection.execute(_GET, {"the_uid": study_uid}).first()
    return Served(*row) if row else None


def keep(
    connection: Connection,
    study_uid: StudyInstanceUID,
    resource: dict[str, Any],
    digest: bytes,
    found_by: Findable,
    *,
    revision: int = 0,
    now: int,
) -> None:
    """Serve `resource` as the study from now on; a version of its own only if `digest` is another than before.

    `revision`: of the study that the resource was made of; an older one than is kept changes nothing.
    """
    lock(connection, lock_of_served(study_uid))
    known = connection.execute(_KNOWN, {"the_uid": study_uid}).first()
    if known is not None and known.revision > revision:
        return
    if known is not None and known.digest == digest:
        connection.execute(update(served).where(served.c.id == known.id), {"revision": revision})
        return
    started = found_by.started or UNKNOWN
    values = {
        "version": known.version + 1 if known else 1, "revision": revision, "updated_at": now, "digest": digest,
        "resource": resource,
        "started_from": started.first, "started_to": started.last,
    }  # fmt: skip
    row = _written(connection, study_uid, None if known is None else known.id, values)
    new = [{"imaging_study": row, **one._asdict()} for one in sorted(found_by.tokens)]
    if new:
        connection.execute(insert(tokens), new)


def _written(connection: Connection, study_uid: StudyInstanceUID, row: int | None, values: Mapping[str, Any]) -> int:
    """Its row, which has these values now and no tokens; None: there is none yet."""
    if row is None:
        key = connection.execute(insert(served), {"study_uid": study_uid, **values}).inserted_primary_key
        assert key is not None
        return int(key[0])
    connection.execute(update(served).where(served.c.id == row), dict(values))
    connection.execute(delete(tokens).where(tokens.c.imaging_study == row))
    return row


class NotKept(NamedTuple):
    """Of a stretch of studies, those that were settled while nobody asked for them to be served."""

    last: int | None
    """The row up to which was looked; None: there are no studies behind the stretch before."""
    study_uids: list[StudyInstanceUID]


def not_kept(connection: Connection, *, after: int, limit: int) -> NotKept:
    """Of the next `limit` studies behind the row `after`."""
    columns = (studies.c.id, studies.c.study_uid, studies.c.settled_revision)
    some = select(*columns).where(studies.c.id > after).order_by(studies.c.id).limit(limit).subquery()
    is_served = exists().where(served.c.study_uid == some.c.study_uid, served.c.revision >= some.c.settled_revision)
    wanted = select(some.c.study_uid).where(some.c.settled_revision > 0, ~is_served).order_by(some.c.id)
    last = connection.execute(select(func.max(some.c.id))).scalar()
    return NotKept(last, list(connection.execute(wanted).scalars()))


def total(connection: Connection, question: SearchParameters) -> int:
    """How many resources answer, on all pages."""
    return _number(connection, select(served.c.id).where(*_conditions(question, _common(connection, question))))


def search(connection: Connection, question: SearchParameters) -> tuple[list[Served], bool]:
    """A page, and whether another follows: of `question.count` resources, or fewer when they are large."""
    return _page(connection, question, _common(connection, question))


def search_and_count(
    connection: Connection, question: SearchParameters, *, most: int | None
) -> tuple[list[Served], bool, int | None]:
    """As `search`, and how many answer on all pages. None: more than `most`, which are not counted."""
    common = _common(connection, question)
    shown = _page(connection, question, common)
    if most is not None and common and _has_more(connection, question, most):
        return *shown, None
    wanted = select(served.c.id).where(*_conditions(question, common))
    number = _number(connection, wanted if most is None else wanted.limit(most + 1))
    return *shown, number if most is None or number <= most else None


def _has_more(connection: Connection, question: SearchParameters, most: int) -> bool:
    """Whether the first rows of its one token show that more than `most` resources answer a question: PostgreSQL goes
    through all rows of a token to count the resources, however few of them are wanted."""
    if len(_conditions(question, ())) > 1:
        return False
    [token] = question.tokens
    some = _having(*token).limit(2 * most).subquery()
    return _number(connection, select(some.c.imaging_study).distinct()) > most


def _page(connection: Connection, question: SearchParameters, common: Collection[int]) -> tuple[list[Served], bool]:
    found = connection.execute(page(question, common)).all()
    rows: list[int] = []
    size = 0
    for row, characters in found[: question.count]:
        size += characters
        if rows and size > PAGE_CHARACTERS:
            break
        rows.append(row)
    held = {one.row: one for one in (Served(*row) for row in connection.execute(_OF_ROWS, {"the_rows": rows}))}
    return [held[row] for row in rows], len(rows) < len(found)


def _number(connection: Connection, wanted: Select[Any]) -> int:
    return int(connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one())


_OF_ROWS: Final = select(*_COLUMNS).where(served.c.id.in_(bindparam("the_rows", expanding=True)))
PAGE_CHARACTERS: Final = 8 * 1024 * 1024
"""A page holds no more than this, or one resource."""


COMMON: Final = 10_000
"""Resources are looked up by a token that up to so many have; of more, each is looked at whether it has the token."""


def _common(connection: Connection, question: SearchParameters) -> frozenset[int]:
    """Which of the tokens of the question, by their places, more than `COMMON` resources have."""
    counted = (_number(connection, _having(*token).limit(COMMON + 1)) for token in question.tokens)
    return frozenset(place for place, number in enumerate(counted) if number > COMMON)


def page(question: SearchParameters, common: Collection[int] = ()) -> Select[Any]:
    """(row, characters of the resource) of a page and the one that follows it. `common`: places of tokens that very
    many resources have."""
    size = func.length(type_coerce(served.c.resource, Text))
    wanted = select(served.c.id, size).where(*_conditions(question, common)).limit(question.count + 1)
    key = _SORTED[question.sort]
    keys: Sequence[ColumnElement[Any]] = [served.c.id] if key is served.c.id else [key, served.c.id]
    if question.after is not None:
        here, last = tuple_(*keys), tuple_(*question.after[-len(keys) :])
        wanted = wanted.where(here < last if question.descending else here > last)
    return wanted.order_by(*(one.desc() if question.descending else one for one in keys))


_SORTED: Final[dict[str, ColumnElement[Any]]] = {
    "": served.c.id,
    "started": served.c.started_from,
    "_lastUpdated": served.c.updated_at,
}


def sort_key(question: SearchParameters, one: Served) -> tuple[int, int]:
    """Where `one` stands in the order of `question`."""
    return {"": one.row, "started": one.started, "_lastUpdated": one.updated_at}[question.sort], one.row


def _conditions(question: SearchParameters, common: Collection[int]) -> list[ColumnElement[bool]]:
    started = (served.c.started_from, served.c.started_to)
    return [
        *(served.c.study_uid.in_(one) for one in question.ids),
        *(
            _has(*token) if place in common else served.c.id.in_(_having(*token))
            for place, token in enumerate(question.tokens)
        ),
        *(or_(*(_changed(served.c.updated_at, one) for one in alternatives)) for alternatives in question.last_updated),
        *(
            and_(served.c.started_from > UNKNOWN.first, or_(*(_compared(*started, one) for one in alternatives)))
            for alternatives in question.started
        ),
    ]


def _has(parameter: str, alternatives: Sequence[TokenAsked]) -> ColumnElement[bool]:
    """Of a resource: found by its own tokens, as an expression leaves no other index."""
    wanted = _having(parameter, alternatives, tokens.c.value.concat(EMPTY))
    return wanted.where(tokens.c.imaging_study == served.c.id).correlate(served).exists()


def _having(
    parameter: str, alternatives: Sequence[TokenAsked], value: ColumnElement[str] = tokens.c.value
) -> Select[Any]:
    by_system: dict[str | None, list[str | None]] = {}
    for one in alternatives:
        by_system.setdefault(one.system, []).append(one.value)
    wanted = [
        and_(
            *((tokens.c.system == system,) if system is not None else ()),
            *((value.in_(values),) if None not in values else ()),
        )
        for system, values in by_system.items()
    ]
    return select(tokens.c.imaging_study).where(tokens.c.parameter == parameter, or_(*wanted))


def _compared(low: ColumnElement[int], high: ColumnElement[int], asked: Compared) -> ColumnElement[bool]:
    """A prefix compares the period of a value, from `low` to before `high`, with that of the search (FHIR 3.1.1.4.7).

    The index knows where periods begin. No date is less exact than a year, so what ends after a moment begins no more
    than a year before it.
    """
    first, last = asked.period
    within = and_(low >= first, high <= last)
    return {
        "eq": within,
        "ne": not_(within),
        "gt": and_(low > last - YEAR, high > last),
        "lt": low < first,
        "ge": and_(low > first - YEAR, or_(high > last, low >= first)),
        "le": and_(low < last, or_(low < first, high <= last)),
        "sa": low >= last,
        "eb": and_(low < first, high <= first),
    }[asked.prefix]


def _changed(moment: ColumnElement[int], asked: Compared) -> ColumnElement[bool]:
    """The same for a moment, which lies before, in or after the period asked."""
    first, last = asked.period
    return {
        "eq": and_(moment >= first, moment < last),
        "ne": or_(moment < first, moment >= last),
        "gt": moment >= last,
        "lt": moment < first,
        "ge": moment >= first,
        "le": moment < last,
        "sa": moment >= last,
        "eb": moment < first,
    }[asked.prefix]
