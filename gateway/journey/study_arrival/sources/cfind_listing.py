"""Which studies an archive has in a stretch: C-FIND at study level, with answers that are held against the question."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.journey.study_arrival.sources.cfind_answers import number, value
from gateway.journey.study_arrival.sources.cfind_stretches import Stretch
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy
from gateway.wire.dimse.identifier import Identifier
from gateway.wire.dimse.requestor_query import Keys, LimitedAnswersError, Matches

MOST_QUERIES: Final = 500
"""For one stretch. An archive that ignores what it is asked would be asked without an end."""
_ROUND: Final = 50
"""An archive that cuts off its answers without saying so gives a round number of them."""
_ASKED: Final = dict.fromkeys(
    ("StudyInstanceUID", "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"), ""
)
NOTHING: Final = Matches([], 0)
Find = Callable[[Keys], Awaitable[Matches]]
"""A query at study level."""


@dataclass(slots=True)
class Listed:
    """What was answered for a stretch."""

    studies: dict[StudyInstanceUID, ListedStudy] = field(default_factory=dict)
    dropped: int = 0
    """Answers that the question excludes, or that cannot be read."""
    queries: int = 0
    is_whole: bool = True
    """False: the archive has more, which cannot be asked for."""


async def listed(find: Find, stretch: Stretch, wanted: StudyFilter) -> Listed:
    """All studies of `stretch` that are `wanted`, from halves of it where the archive has more than it answers with;
    of what does not come to an end as many as were answered. Raises what `find` raises."""
    found = Listed()
    await _add(found, find, stretch, wanted)
    return found


async def _add(found: Listed, find: Find, stretch: Stretch, wanted: StudyFilter) -> None:
    if found.queries == MOST_QUERIES:
        found.is_whole = False
        return
    found.queries += 1
    try:
        matches = await find({**_ASKED, **wanted.keys, **stretch.keys()})
    except LimitedAnswersError as error:
        halves = _halves_of_limited(found, error, stretch, wanted)
        if halves is None:
            found.is_whole = False
            return
    else:
        taken = _take(found, matches, stretch, wanted)
        count = len(matches.identifiers) + matches.unreadable
        if not taken or count % _ROUND or (halves := stretch.halves()) is None:
            return
    for half in halves:
        await _add(found, find, half, wanted)


def _halves_of_limited(
    found: Listed, error: LimitedAnswersError, stretch: Stretch, wanted: StudyFilter
) -> tuple[Stretch, Stretch] | None:
    """None: halves would bring no more. Raises `error` where the archive has answered nothing at all."""
    answered = error.matches.identifiers if error.matches is not None else []
    # More answers outside of the stretch than in it: the archive ignores the times, or the dates.
    ignores = bool(answered) and 2 * _take(found, error.matches or NOTHING, stretch, wanted) < len(answered)
    halves = None if ignores else stretch.halves()
    if halves is None and not found.studies:
        raise error
    return halves


def _take(found: Listed, matches: Matches, stretch: Stretch, wanted: StudyFilter) -> int:
    """How many of the answers show that they are of the stretch: an archive that ignores times need not be asked for
    shorter ones."""
    taken = 0
    found.dropped += matches.unreadable
    for one in matches.identifiers:
        uid = StudyInstanceUID(value(one, "StudyInstanceUID"))
        moment = value(one, "StudyDate"), value(one, "StudyTime")
        if not uid or not stretch.has(*moment) or not wanted.admits(one):
            found.dropped += 1
            continue
        found.studies[uid] = _study(uid, one)
        taken += stretch.is_of_days or bool(moment[1])
    return taken


def _study(uid: StudyInstanceUID, answer: Identifier) -> ListedStudy:
    """An archive that states no counts, as many do under FF00 too, states nothing that changes with the study."""
    series, instances = number(answer, "NumberOfStudyRelatedSeries"), number(answer, "NumberOfStudyRelatedInstances")
    state = "" if series is None and instances is None else f"{series} series, {instances} instances"
    return ListedStudy(uid, state, instances)
