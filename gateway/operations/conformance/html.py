"""A conformance statement as a page of HTML: one file for reading and printing, with its style and without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from gateway.operations.conformance.sections import Statement

_SOURCES: Final = {
    path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).with_name("templates").iterdir())
}
_STYLE: Final = _SOURCES["statement.css"].strip()
_CODE: Final = re.compile(r"`([^`]*)`")
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""Of an HTTP answer with the page: nothing but the style that stands in it."""


def _code(text: str) -> Markup:
    """What stands between backticks as code; everything is escaped."""
    parts = _CODE.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(one) if number % 2 else escape(one) for number, one in enumerate(parts)
    )


_ENVIRONMENT: Final = Environment(
    loader=DictLoader({"statement.html": _SOURCES["statement.html"]}), autoescape=True, undefined=StrictUndefined
)
_ENVIRONMENT.filters["code"] = _code


def html(statement: Statement) -> str:
    """The statement as a page."""
    template = _ENVIRONMENT.get_template("statement.html")
    return template.render(statement=statement, style=Markup(_STYLE)) + "\n"
