"""Templates to pages. Every value is escaped; moments are written in the zone of the site, with UTC on hover."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from gateway.operations.answers.answer import iso
from gateway.operations.parked import unserved_text
from gateway.operations.work_events import why
from gateway.records.person import Role
from gateway.web.auditing import SHOWN
from gateway.web.console import dicom_values
from gateway.web.console.notices import notice_of
from gateway.web.console.parameters import PageParameters
from gateway.web.console.static import address
from gateway.web.login import Visit
from gateway.web.routes import RouteContext

PAGES: Final = (
    ("/", "Now"),
    ("/search", "Search"),
    ("/worklist", "Worklist"),
    ("/studies", "Studies"),
    ("/messages", "Messages"),
    ("/deliveries", "Deliveries"),
    ("/figures", "Figures"),
    ("/mappings", "Mappings"),
    ("/system", "System"),
    ("/users", "Users"),
    ("/audit", "Audit"),
)
"""Path and name of what the head of every page links to."""
TEMPLATES: Final = {
    path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).with_name("templates").iterdir())
}
"""Name -> source, read now: the event loop never waits for the disk."""
_ROLES: Final = {"/users": Role.ADMIN, "/audit": Role.ADMIN}
_POSTS: Final = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')
_SIZES: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def page(
    context: RouteContext,
    template: str,
    parameters: PageParameters | None = None,
    *,
    title: str,
    current: str = "",
    status: int = 200,
    **values: Any,
) -> web.Response:
    """A template as an HTML answer. `current`: the path of `PAGES` that the page belongs to."""
    notice = notice_of(parameters.notice, parameters.n) if parameters else ""
    text = _ENVIRONMENT.get_template(template).render(
        title=title, current=current, notice=notice, pages=_pages(context), version=context.version,
        now=context.clock(), zone=context.zone, person=context.person, has_session=context.visit.session is not None,
        **values,
    )  # fmt: skip
    response = web.Response(text=with_csrf(text, context.visit), content_type="text/html", status=status)
    response[SHOWN] = values
    return response


def _pages(context: RouteContext) -> list[tuple[str, str]]:
    """Path and name of the pages that are for whoever asks."""
    return [(path, name) for path, name in PAGES if context.person.role.includes(_ROLES.get(path, Role.VIEWER))]


def with_csrf(text: str, visit: Visit) -> str:
    """HTML of our own whose forms hold the token of the session, where there is one."""
    if not visit.csrf:
        return text
    field = f'<input type="hidden" name="csrf" value="{visit.csrf}">'
    return _POSTS.sub(lambda form: form[0] + field, text)


def fragment(context: RouteContext, template: str, **values: Any) -> str:
    """A template that is a part of a page, with no more of its surroundings than the moments need."""
    return _ENVIRONMENT.get_template(template).render(now=context.clock(), zone=context.zone, **values)


def error_page(context: RouteContext, message: str, place: str, status: int) -> web.Response:
    """An error as a page for people."""
    title = {403: "Not for you", 404: "Not here", 503: "Not available now"}.get(status, "That did not work")
    return page(context, "error.html", title=title, status=status, message=message, place=place)


def moment(micros: int, zone: tzinfo) -> Markup:
    """Microseconds since 1970 UTC as a `time` element: local time with its zone, UTC on hover."""
    utc = iso(micros)
    local = datetime.fromtimestamp(micros / 1e6, UTC).astimezone(zone)
    written = f"{local:%Y-%m-%d %H:%M:%S %Z}"
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(utc, written)


def span(micros: int) -> str:
    """A length of time for people: `3 d 4 h`, `12 min`, `4 s`."""
    seconds = max(0, micros) // 1_000_000
    parts = []
    for length, unit in _SPANS:
        if seconds >= length:
            parts.append(f"{seconds // length} {unit}")
            seconds %= length
    return " ".join(parts[:2]) or f"{seconds} s"


def size(octets: int) -> str:
    """A number of bytes for people: `3.1 GiB`."""
    value, unit = float(octets), 0
    while value >= 1024 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.{1 if unit else 0}f} {_SIZES[unit]}"


@pass_context
def _when(context: Context, at: int | str | None) -> Markup | str:
    return "" if at is None else moment(_micros(at), context["zone"])


@pass_context
def _ago(context: Context, at: int | str | None) -> str:
    return "" if at is None else f"{span(context['now'] - _micros(at))} ago"


def _micros(at: int | str) -> int:
    """Of a moment as the store or an answer has it."""
    if isinstance(at, int):
        return at
    since = datetime.fromisoformat(at) - datetime.fromtimestamp(0, UTC)
    return since // timedelta(microseconds=1)


def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )
    environment.filters |= {
        "path_segment": lambda value: quote(str(value), safe=""), "when": _when, "ago": _ago, "span": span,
        "bytes_size": size, "failure": why, "unserved": unserved_text,
        "person": dicom_values.person, "day": dicom_values.day, "clock": dicom_values.clock,
    }  # fmt: skip
    environment.globals["static"] = address
    return environment


def warm_up() -> None:
    """Compile all templates, which takes half a second of CPU: for a thread, while the gateway serves already. One that
    is asked for before is compiled then."""
    for name in TEMPLATES:
        _ENVIRONMENT.get_template(name)


_ENVIRONMENT: Final = _environment()
