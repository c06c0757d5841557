"""Handlers and routes of lists of studies, and of studies that were entered in error."""

from __future__ import annotations

from functools import partial
from typing import Final

from gateway.operations.answers.studies import StudyList, Withdrawn
from gateway.operations.study_list import StudyFilter, study_list
from gateway.operations.withdraw import withdraw
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.receiver import ReceiverType
from gateway.web.requests import THE_API, Note, Person, StudiesParameters, StudyParameters
from gateway.web.routes import Notice, Route, RouteContext


class WithdrawParameters(StudyParameters):
    note: Note = ""
    person: Person = ""


async def withdraw_study(context: RouteContext, parameters: WithdrawParameters) -> Withdrawn:
    """State that a study was entered in error: EHRs are notified, nothing is deleted."""
    return await _changed(context, parameters, undo=False)


async def count_study(context: RouteContext, parameters: WithdrawParameters) -> Withdrawn:
    """Take a withdrawal back: the study is what it claims to be after all."""
    return await _changed(context, parameters, undo=True)


async def _changed(context: RouteContext, parameters: WithdrawParameters, *, undo: bool) -> Withdrawn:
    ehrs = [one.name for one in context.receivers if one.type is ReceiverType.EHR]
    unit = partial(
        withdraw, study_uid=StudyInstanceUID(parameters.uid), ehrs=ehrs, now=context.clock(), undo=undo,
        person=parameters.person or THE_API, reason=parameters.note,
    )  # fmt: skip
    return Withdrawn.model_validate(await context.store.write(unit), from_attributes=True)


def _noticed(answer: Withdrawn) -> Notice:
    return Notice("counts" if answer.withdrawn_at is None else "withdrawn", answer.deliveries)


async def list_studies(context: RouteContext, parameters: StudiesParameters) -> StudyList:
    """Studies, newest first, and how each stands at the EHRs."""
    narrow = StudyFilter(parameters.patient, parameters.accession, parameters.standing, parameters.order)
    return await context.store.read(partial(study_list, narrow=narrow, before=parameters.before))


_STUDY: Final = "/api/studies/{uid}"
ROUTES: Final = (
    Route("GET", "/api/studies", list_studies, StudyList, StudiesParameters),
    Route("POST", f"{_STUDY}/withdraw", withdraw_study, Withdrawn, WithdrawParameters, (404,), notice=_noticed),
    Route("POST", f"{_STUDY}/withdraw/undo", count_study, Withdrawn, WithdrawParameters, (404,), notice=_noticed),
)
