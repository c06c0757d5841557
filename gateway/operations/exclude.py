"""A series or an instance that a person excludes from its study, and the way back; the study settles anew each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Conflict, RequiredMissing, UnknownKey
from gateway.operations.answers.exclusions import ExclusionChanged
from gateway.records.exclusion import Decision, ExcludedPart
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import Store, exclusions

ReadAgain = Callable[[StudyInstanceUID, Callable[[Connection], None]], Awaitable[int]]
"""Reads a study anew from its kept headers and lets it settle, in the transaction of a change that is made first."""


@dataclass(frozen=True, slots=True)
class ExclusionWish:
    """What a person wants."""

    uid: str
    """Series or SOP Instance UID."""
    person: str
    note: str = ""
    study_uid: str = ""
    """Where several studies have an instance of this UID."""


class _AsItWasError(Exception):
    """It is so already: nothing is read anew."""


async def exclude(store: Store, read_again: ReadAgain, wish: ExclusionWish, clock: Clock) -> ExclusionChanged:
    """Exclude a part of a study: EHRs that have the study are sent it anew, without that part.

    Raises `UnknownKey` when no such part has arrived, `Conflict` when several studies have it or nothing of the study
    would be left, `RequiredMissing` without a note.
    """
    if not wish.note.strip():
        raise RequiredMissing("a note is needed: why is it excluded?", place="note")

    def begin(connection: Connection, part: ExcludedPart, decision: Decision) -> bool:
        changed = exclusions.begin(connection, part, decision)
        if not exclusions.counting(connection, part.study_uid):
            raise Conflict("nothing of the study would be left; 'gateway withdraw' withdraws all of it", place=wish.uid)
        return changed

    return await _change(store, read_again, wish, clock, begin, excluded=True)


async def include(store: Store, read_again: ReadAgain, wish: ExclusionWish, clock: Clock) -> ExclusionChanged:
    """Let a part of a study that was excluded count again; EHRs are sent the study anew. Raises as `exclude` does."""
    return await _change(store, read_again, wish, clock, exclusions.end, excluded=False)


async def _change(
    store: Store,
    read_again: ReadAgain,
    wish: ExclusionWish,
    clock: Clock,
    change: Callable[[Connection, ExcludedPart, Decision], bool],
    *,
    excluded: bool,
) -> ExclusionChanged:
    part = await store.read(partial(_meant, wish=wish))
    decision = Decision(wish.person, wish.note, clock())

    def first(connection: Connection) -> None:
        if not change(connection, part, decision):
            raise _AsItWasError

    changed = True
    try:
        await read_again(part.study_uid, first)
    except _AsItWasError:
        changed = False
    counting = await store.read(partial(exclusions.counting, study_uid=part.study_uid))
    return ExclusionChanged(
        study_uid=part.study_uid, uid=part.uid, level=part.level, excluded=excluded, changed=changed,
        instances=counting,
    )  # fmt: skip


def _meant(connection: Connection, wish: ExclusionWish) -> ExcludedPart:
    parts = [
        one
        for one in exclusions.parts_of(connection, wish.uid)
        if not wish.study_uid or one.study_uid == wish.study_uid
    ]
    if not parts:
        raise UnknownKey("no series and no instance with this UID has arrived", place=wish.uid)
    if len(parts) > 1:
        names = ", ".join(one.study_uid for one in parts[:5])
        raise Conflict(f"several studies have it, name one: {names}", place=wish.uid)
    return parts[0]
