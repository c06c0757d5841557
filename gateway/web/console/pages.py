"""The HTML of the console: jinja2 templates of the folder `templates`, in which every value is escaped."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gateway.journey import STATIONS
from gateway.operations.answers.answer import iso
from gateway.operations.parked import unserved_text
from gateway.operations.work_events import why
from gateway.web.console.status import GatewayStatus, reasons_to_look

REFRESH_SECONDS: Final = 10
LINKS: Final = (
    "/api/worklist",
    "/api/orders",
    "/api/messages",
    "/api/deliveries?state=parked",
    "/api/causes",
    "/api/refusals",
    "/api/unlinked",
    "/api/silent",
    "/health/ready",
    "/metrics",
    "/api/openapi.json",
)
TEMPLATES: Final = Path(__file__).with_name("templates")
STYLE: Final = (TEMPLATES / "style.css").read_text(encoding="utf-8")
STYLE_HASH: Final = f"sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}"
"""The Content-Security-Policy allows this style and no other."""


def _environment() -> Environment:
    # Templates are read at import: the event loop never waits for the disk.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )
    environment.filters["path_segment"] = lambda value: quote(value, safe="")
    environment.filters["iso"] = iso
    environment.filters["failure"] = why
    environment.filters["unserved"] = unserved_text
    return environment


_STATUS: Final = _environment().get_template("status.html")


def status_page(status: GatewayStatus) -> str:
    """The night operator's page as HTML: what is stuck, why, and a button for each piece of work."""
    reasons = reasons_to_look(status)
    nothing_stuck = status.lists is not None and not reasons
    explanation = f" ({'; '.join(reasons)})" if reasons else ""
    return _STATUS.render(
        status=status,
        lists=status.lists,
        frequent_causes=[group for group in status.lists.causes if group.count > 1] if status.lists else [],
        verdict="Nothing is stuck." if nothing_stuck else f"Someone should look at this.{explanation}",
        nothing_stuck=nothing_stuck,
        stations=STATIONS,
        links=LINKS,
        style=Markup(STYLE),
        refresh_seconds=REFRESH_SECONDS,
    )
