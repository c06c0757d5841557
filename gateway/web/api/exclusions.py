"""Handlers and routes of series and instances that are excluded from their study."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from gateway.operations import exclude as operation
from gateway.operations.answers import exclusions as answers
from gateway.web.requests import THE_API, Note, Person, StudyParameters, Words
from gateway.web.routes import Notice, Route, RouteContext


class PartParameters(StudyParameters):
    part: Annotated[Words, Field(min_length=1, description="Series or SOP Instance UID")]
    note: Note = ""
    person: Person = ""

    def wish(self) -> operation.ExclusionWish:
        """What the person wants."""
        return operation.ExclusionWish(self.part, self.person or THE_API, self.note, self.uid)


async def exclude_part(context: RouteContext, parameters: PartParameters) -> answers.ExclusionChanged:
    """Exclude a series or an instance from its study: EHRs are sent the study anew without it. A note is needed.

    409 when nothing of the study would be left, and while its instances keep arriving.
    """
    return await operation.exclude(context.store, context.read_again, parameters.wish(), context.clock)


async def include_part(context: RouteContext, parameters: PartParameters) -> answers.ExclusionChanged:
    """Let a series or an instance that was excluded count again: EHRs are sent its study anew."""
    return await operation.include(context.store, context.read_again, parameters.wish(), context.clock)


def _changed(answer: answers.ExclusionChanged) -> Notice:
    return Notice("excluded" if answer.excluded else "included", answer.instances)


_ERRORS: Final = (404, 409, 422)
ROUTES: Final = tuple(
    Route(
        "POST", f"/api/studies/{{uid}}/{name}", handler, answers.ExclusionChanged, PartParameters, _ERRORS,
        notice=_changed,
    )
    for name, handler in (("exclude", exclude_part), ("include", include_part))
)  # fmt: skip
