"""A row of the route table, and what every handler gets. The table both serves and documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, NamedTuple

from aiohttp import web

from gateway.clock import Clock
from gateway.journey.performed_step.attaching import Tools
from gateway.operations.answers.answer import Answer
from gateway.operations.exclude import ReadAgain
from gateway.operations.feeds import Feeds
from gateway.operations.message_tools import MessageTools
from gateway.operations.page_views import NO_VIEWS, PageViews
from gateway.operations.people.people import People
from gateway.operations.people.provider import ProviderLogins
from gateway.operations.state.components import Component
from gateway.operations.state.part import State
from gateway.operations.state.traffic import Traffic
from gateway.operations.system import System
from gateway.records.audit import AuditEvent
from gateway.records.person import NOBODY, Person, Role
from gateway.records.receiver import Receiver
from gateway.records.row_ids import MessageRow
from gateway.store import Store
from gateway.web.login import NO_VISIT, Visit
from gateway.web.requests import NoParameters, RequestParameters
from gateway.web.streams import Streams


async def alone(page: Callable[[], bytes]) -> bytes:
    """What `page` gives, where there is no other process."""
    return page()


@dataclass(frozen=True, slots=True)
class RouteContext:
    """What the composition root hands to the console."""

    store: Store
    components: Callable[[], Awaitable[dict[str, Component]]]
    replay_message: Callable[[MessageRow], Awaitable[str]]
    why: Callable[[str, str], Awaitable[Any]]
    read_again: ReadAgain
    """Reads a study anew from its kept headers."""
    clock: Clock
    version: str
    hidden_states: Sequence[str]
    first_day: Callable[[int], str]
    """DA at a moment: steps of earlier days that nobody has begun are not in the worklist; empty: they are."""
    published_keys: Callable[[], dict[str, Any]]
    """The JWK Set by which EHRs know us."""
    document: Callable[[], dict[str, Any]]
    """Makes the OpenAPI document, in a fifth of a second of CPU, and keeps it."""
    state: Callable[[], Awaitable[State]]
    """How each part of the gateway is."""
    feeds: Feeds
    """Resends of all that an EHR was sent."""
    traffic: Traffic
    """How much came and went."""
    streams: Streams
    """Those who follow the first page."""
    system: System
    """The configuration in force, and its reload."""
    people: People
    """Who may log in."""
    links: Tools | None = None
    """What links of performed steps need; None: none are changed here."""
    zone: tzinfo = UTC
    """Of the site: pages write moments in it."""
    receivers: Sequence[Receiver] = ()
    """EHRs and destinations of the configuration."""
    views: PageViews = NO_VIEWS
    """What takes the rules and mappings of the site."""
    message_tools: Callable[[], MessageTools] | None = None
    """What explaining and trying messages takes, with the mappings in force; None: that is not done here."""
    provider: ProviderLogins | None = None
    """Logins at an identity provider; None: there is none."""
    person: Person = NOBODY
    """Who makes the request at hand."""
    visit: Visit = NO_VISIT
    """By which connection and session it comes."""
    note: Callable[[AuditEvent], None] = lambda event: None
    """Records an event of the audit trail soon."""
    all_metrics: Callable[[Callable[[], bytes]], Awaitable[bytes]] = alone
    """What gives the page of metrics of this process -> the page of all processes of the gateway."""


Handler = Callable[[RouteContext, Any], Awaitable[Answer | web.Response]]


class Notice(NamedTuple):
    """What a page states after one of its buttons: a key of `console.notices.TEXTS`, and a number for the text."""

    key: str
    number: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """`handler` gets the context and the `parameters` of the request; its docstring is the route's description."""

    method: str
    path: str
    handler: Handler
    answer: type[Answer] | str
    """The JSON object of a 200, or the media type when it is something else."""
    parameters: type[RequestParameters] = NoParameters
    errors: tuple[int, ...] = ()
    """Statuses of its own; 400 is everyone's; 401, 403 and 503 are those routes' that ask for a login."""
    also: tuple[int, ...] = ()
    """Statuses that carry the body of a 200."""
    open: bool = False
    """Served without a login."""
    role: Role | None = None
    """Whom it is for; None: viewers where it only shows (GET), operators where it changes something."""
    notice: Callable[[Any], Notice] | None = None
    """From the answer to a POST to what the page states that a browser gets after it."""
    shows_texts: bool = False
    """Shows what a peer has written: each look is recorded, whether or not it names a patient."""
    in_body: bool = False
    """Its parameters hold secrets, and come in the body alone: addresses are kept in histories and logs."""

    @property
    def role_needed(self) -> Role:
        """The lowest role that may use the route."""
        return self.role or (Role.VIEWER if self.method == "GET" else Role.OPERATOR)
