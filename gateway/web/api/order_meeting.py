"""Handlers and routes of studies whose order states something else, or that have none."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from pydantic import Field

from gateway.operations import order_meeting as operation
from gateway.operations.answers import order_meeting as answers
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.row_ids import OrderRow
from gateway.web.requests import THE_API, EmptyIsNone, Note, Person, RowId, StudyParameters, Words
from gateway.web.routes import Notice, Route, RouteContext


class ReleaseParameters(StudyParameters):
    note: Note = ""
    person: Person = ""


class StudyLinkParameters(ReleaseParameters):
    order: Annotated[RowId | None, EmptyIsNone, Field(description="`id` of the order")] = None
    accession: Words = Field(default="", description="Accession number of the order, where it tells it from others")

    def wish(self) -> operation.StudyWish:
        """What the person wants."""
        order = None if self.order is None else OrderRow(self.order)
        return operation.StudyWish(
            StudyInstanceUID(self.uid), self.person or THE_API, self.note, order, AccessionNumber(self.accession)
        )


async def release_study(context: RouteContext, parameters: ReleaseParameters) -> answers.StudyReleased:
    """Let a study be delivered although its order states something else. A note is needed.

    Only what holds it now is released: another difference holds it again.
    """
    wish = operation.StudyWish(StudyInstanceUID(parameters.uid), parameters.person or THE_API, parameters.note)
    return await context.store.write(partial(operation.release, wish=wish, now=context.clock()))


async def link_study(context: RouteContext, parameters: StudyLinkParameters) -> answers.StudyLinkOutcome:
    """Link a study with an order, whatever numbers its headers have. Kept with who, when and why.

    409 when several orders have the accession number.
    """
    return await context.store.write(partial(operation.link, wish=parameters.wish(), now=context.clock()))


async def unlink_study(context: RouteContext, parameters: StudyLinkParameters) -> answers.StudyLinkOutcome:
    """Take an order away from a study: no number of its headers leads to that order any more."""
    return await context.store.write(partial(operation.unlink, wish=parameters.wish(), now=context.clock()))


def _released(answer: answers.StudyReleased) -> Notice:
    return Notice("study_released", len(answer.released))


def _linked(answer: answers.StudyLinkOutcome) -> Notice:
    return Notice(f"study_{answer.action.value}ed", answer.order)


_STUDY: Final = "/api/studies/{uid}"
_ERRORS: Final = (404, 409, 422)
ROUTES: Final = (
    Route(
        "POST", f"{_STUDY}/release", release_study, answers.StudyReleased, ReleaseParameters, (404, 422),
        notice=_released,
    ),
    Route("POST", f"{_STUDY}/link", link_study, answers.StudyLinkOutcome, StudyLinkParameters, _ERRORS, notice=_linked),
    Route(
        "POST", f"{_STUDY}/unlink", unlink_study, answers.StudyLinkOutcome, StudyLinkParameters, _ERRORS,
        notice=_linked,
    ),
)  # fmt: skip
