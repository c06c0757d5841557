"""Handlers and routes of legal holds, which admins put and take back."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from pydantic import Field

from gateway.operations import hold as operation
from gateway.operations.answers import legal_holds as answers
from gateway.records.legal_hold import HoldOn, LegalHold
from gateway.records.person import Role
from gateway.store import legal_holds
from gateway.web.requests import THE_API, Note, Person, RequestParameters, Words
from gateway.web.routes import Notice, Route, RouteContext


class HoldsParameters(RequestParameters):
    ended: bool = Field(default=False, description="With those that were released")


class HoldParameters(RequestParameters):
    subject: HoldOn
    value: Annotated[Words, Field(min_length=1, description="Patient ID or accession number")]
    issuer: Words = Field(default="", description="Of the Patient ID; empty: whoever gave it")
    note: Note = ""
    person: Person = ""

    def hold(self) -> LegalHold:
        """The hold that is meant."""
        return LegalHold(self.subject, self.value, self.issuer)


async def list_legal_holds(context: RouteContext, parameters: HoldsParameters) -> answers.LegalHolds:
    """Legal holds, the newest first, at most 200."""
    rows = await context.store.read(partial(legal_holds.listing, ended=parameters.ended))
    return answers.LegalHolds.model_validate({"holds": rows})


async def hold(context: RouteContext, parameters: HoldParameters) -> answers.LegalHoldChanged:
    """Keep a patient or an order from every deletion. A note is needed."""
    wanted, decision = parameters.hold(), _decision(context, parameters)
    await context.store.write(lambda connection: operation.hold(connection, wanted, decision))
    return _changed(wanted, in_force=True)


async def release(context: RouteContext, parameters: HoldParameters) -> answers.LegalHoldChanged:
    """Take a legal hold back. A note is needed."""
    wanted, decision = parameters.hold(), _decision(context, parameters)
    await context.store.write(lambda connection: operation.release(connection, wanted, decision))
    return _changed(wanted, in_force=False)


def _decision(context: RouteContext, parameters: HoldParameters) -> operation.HoldDecision:
    return operation.HoldDecision(
        parameters.person or THE_API, parameters.note, context.clock(), str(context.person.role)
    )


def _changed(wanted: LegalHold, *, in_force: bool) -> answers.LegalHoldChanged:
    return answers.LegalHoldChanged(subject=wanted.on, value=wanted.value, issuer=wanted.issuer, in_force=in_force)


def _notice(answer: answers.LegalHoldChanged) -> Notice:
    return Notice("held" if answer.in_force else "released")


_PATH: Final = "/api/legal-holds"
ROUTES: Final = (
    Route("GET", _PATH, list_legal_holds, answers.LegalHolds, HoldsParameters, role=Role.ADMIN),
    Route("POST", _PATH, hold, answers.LegalHoldChanged, HoldParameters, (409, 422), role=Role.ADMIN, notice=_notice),
    Route(
        "POST", f"{_PATH}/release", release, answers.LegalHoldChanged, HoldParameters, (404, 422), role=Role.ADMIN,
        notice=_notice,
    ),
)  # fmt: skip
