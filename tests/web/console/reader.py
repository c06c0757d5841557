"""What a page holds, as its tags: links, buttons, scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from tests.web.served import Served


@dataclass
class PageTags:
    """Of one page."""

    html: str
    policy: str = ""
    tags: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    """Addresses of the forms that change something."""
    scripts: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    """Attributes that the Content-Security-Policy would not let act."""


class _Parser(HTMLParser):
    def __init__(self, into: PageTags) -> None:
        super().__init__()
        self._into = into

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._into.tags.append(tag)
        if tag == "a" and "href" in values:
            self._into.links.append(values["href"])
        if tag == "form" and values.get("method") == "post":
            self._into.forms.append(values["action"])
        if tag == "script":
            self._into.scripts.append(values.get("src", ""))
        self._into.inline += [name for name in values if name == "style" or name.startswith("on")]


def tags_of(html: str, policy: str = "") -> PageTags:
    """The tags of a page's HTML."""
    tags = PageTags(html, policy)
    _Parser(tags).feed(html)
    return tags


async def shown(console: Served, path: str = "/", *, status: int = 200) -> PageTags:
    """The page at a path, as a browser gets it."""
    async with console.session.get(console.base + path, headers={"Accept": "text/html,*/*;q=0.8"}) as response:
        assert response.status == status, await response.text()
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        return tags_of(await response.text(), response.headers["Content-Security-Policy"])
