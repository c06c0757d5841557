"""What a request may ask: one model per route, of its path and query parameters. What is not named is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from yarl import URL

from gateway.errors import InvalidValue
from gateway.records.ehr_standing import EhrStanding
from gateway.records.message import MessageState
from gateway.records.order_check import OrderStanding
from gateway.records.step import StepState
from gateway.records.work import WorkState
from gateway.web.forms import FORM, posted
from gateway.web.login import credentials, person_of

THE_CONSOLE: Final = "the console"
"""Who presses a button where nobody has logged in."""
THE_API: Final = "the API"
"""Who asks for a change where neither a login nor the request names a person."""
NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})
_LOCAL: Final = re.compile(r"[!-\[\]-~]+")
"""Visible ASCII without the backslash, which browsers read as a slash."""
# PostgreSQL keeps no NUL in a text, and no row id beyond a signed 64-bit integer.
Words = Annotated[str, Field(max_length=256, pattern=r"^[^\x00]*$")]
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Person = Annotated[Words, Field(description="Who decides, where no login proves it; default: the user of the login")]
Note = Annotated[Words, Field(description="Why, for those who come later")]
Limit = Annotated[int, Field(ge=1, le=1000, description="At most so many rows")]
Before = Annotated[RowId | None, Field(description="Only rows with a lower id: `next_before` of the page before")]
EmptyIsNone = BeforeValidator(lambda value: value or None)


def _day(written: str) -> str:
    day = written.replace("-", "")
    # The day after the last of the calendar is none: there a day has no end.
    if day and date.fromisoformat(day) == date.max:
        raise ValueError("is the last day of the calendar")
    return day


Day = Annotated[str, Field(pattern=r"^([0-9]{4}-?[0-9]{2}-?[0-9]{2})?$"), AfterValidator(_day)]


class RequestParameters(BaseModel):
    """The base of all models of parameters; a parameter that the model does not name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParameters(RequestParameters):
    pass


class OrdersParameters(RequestParameters):
    accession: Words = Field(default="", description="Accession number")
    patient: Words = Field(default="", description="Patient ID")
    limit: Limit = 100


SearchState = StepState | Literal["not-applied"]


class SearchParameters(RequestParameters):
    q: Words = Field(default="", description="Accession number, Patient ID, name, order number, UID or MSH-10")
    day: Day = Field(default="", description="Scheduled start date, or the day of a message; YYYYMMDD or YYYY-MM-DD")
    modality: Words = ""
    station: Words = Field(default="", description="AE title")
    state: Annotated[
        SearchState | None, EmptyIsNone, Field(description="Of a step; `not-applied`: messages that were not")
    ] = None


class WorklistParameters(RequestParameters):
    date: Day = Field(default="", description="Scheduled start date, YYYYMMDD or YYYY-MM-DD")
    modality: Words = ""
    station: Words = Field(default="", description="AE title; steps without a station are every station's")
    limit: Limit = 100


class TurnaroundParameters(RequestParameters):
    first: Day = Field(default="", description="First day, YYYYMMDD or YYYY-MM-DD; empty: seven days up to the last")
    last: Day = Field(default="", description="Last day, this one too; empty: today")


class JourneyParameters(RequestParameters):
    accession: Annotated[Words, Field(min_length=1)]


class WhyParameters(RequestParameters):
    accession: Annotated[Words, Field(min_length=1, description="Accession number, or another number of the order")]
    station: Annotated[Words, Field(min_length=1, description="AE title of the scanner")]


OpenStanding = Literal[OrderStanding.HELD, OrderStanding.DIFFERS, OrderStanding.UNMATCHED]


class StudiesParameters(RequestParameters):
    patient: Words = Field(default="", description="Patient ID, as the images have it")
    accession: Words = Field(default="", description="Accession number, as the images have it")
    standing: Annotated[EhrStanding | None, EmptyIsNone, Field(description="How it stands at the EHRs")] = None
    order: Annotated[OpenStanding | None, EmptyIsNone, Field(description="How it stands with its orders")] = None
    before: Before = None


class StudyParameters(RequestParameters):
    uid: Annotated[Words, Field(min_length=1, description="Study Instance UID")]


class MessagesParameters(RequestParameters):
    state: Annotated[MessageState | None, EmptyIsNone] = None
    limit: Limit = 100
    before: Before = None


class DeliveriesParameters(RequestParameters):
    receiver: Words = Field(default="", description="Name of an EHR or a destination; `.`: work that has none")
    state: Annotated[WorkState | None, EmptyIsNone] = None
    limit: Limit = 100
    before: Before = None


class CauseParameters(RequestParameters):
    key: Annotated[Words, Field(pattern=r"^[0-9a-f]{8}$", description="Key of a cause")]


class RefusalsParameters(RequestParameters):
    limit: Limit = 100


class PerformedStepParameters(RequestParameters):
    limit: Limit = 100


class LinkParameters(RequestParameters):
    uid: Annotated[Words, Field(min_length=1, description="SOP Instance UID of the performed step")]
    order: Annotated[RowId | None, EmptyIsNone, Field(description="`id` of the order")] = None
    accession: Words = Field(default="", description="Accession number of the order, where it tells it from others")
    step: Words = Field(default="", description="Scheduled Procedure Step ID, where the order has several")
    reason: Note = ""
    person: Person = ""


class RowParameters(RequestParameters):
    id: RowId


def read(model: type[RequestParameters], request: web.Request, fields: Mapping[str, str] = NO_FIELDS) -> Any:
    """The path and query parameters of `request`, and the `fields` of its form, as a `model`.

    The parameter `person` is the name that a login has proven; else the request may state one.
    Raises `InvalidValue` that names each faulty parameter.
    """
    given: dict[str, str] = dict(request.match_info)
    has_person = "person" in model.model_fields
    if has_person:
        given["person"] = credentials(request).user or (THE_CONSOLE if request.content_type == FORM else "")
    for name in request.query:
        if name in request.match_info or name in fields or len(request.query.getall(name)) > 1:
            raise InvalidValue("give it once", place=name)
        given[name] = request.query[name]
    given |= fields
    if has_person and person_of(request).is_named:
        given["person"] = person_of(request).name
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = {str(fault["loc"][0]): _fault(model, fault) for fault in error.errors(include_url=False)}
        text = "; ".join(f"{name}: {fault}" for name, fault in faults.items()) if len(faults) > 1 else None
        raise InvalidValue(text or next(iter(faults.values())), place=", ".join(faults)) from None


async def form_fields(request: web.Request) -> dict[str, str]:
    """The fields of a form that a browser has sent (`application/x-www-form-urlencoded`); empty for other bodies.

    Raises `InvalidValue` for a field that comes twice, for one that stands in the path, and as `posted` does.
    """
    if request.content_type != FORM:
        return {}
    fields = await posted(request)
    for name in fields:
        if name in request.match_info or len(fields.getall(name)) > 1:
            raise InvalidValue("give it once", place=name)
    return {name: str(value) for name, value in fields.items()}


def refuse_query(request: web.Request) -> None:
    """Raises `InvalidValue` for a parameter in the address, where secrets are asked for."""
    for name in request.query:
        raise InvalidValue("send it in the body: addresses are kept in histories and logs", place=name)


def local_path(written: str) -> URL:
    """Where a form says to go back to; the first page, where that is no path of this server."""
    if not written.startswith("/") or written.startswith("//") or not _LOCAL.fullmatch(written):
        return URL("/")
    return URL(written)


def _fault(model: type[RequestParameters], fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return f"no such parameter; known here: {', '.join(model.model_fields) or 'none'}"
    return str(fault["msg"]).removeprefix("Value error, ")
