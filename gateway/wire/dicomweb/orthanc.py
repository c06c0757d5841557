"""Orthanc's own REST API, as far as it tells what has changed, which DICOMweb does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from gateway.errors import Malformed
from gateway.wire.dicomweb.dataset import BINARY, Attribute, Dataset, tag_named, vr_of
from gateway.wire.dicomweb.reading import WebReader

_WITH_BACKSLASH: Final = frozenset({"LT", "ST", "UT"})
"""VRs of one value, in which a backslash is text."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of the list of changes."""

    studies: Sequence[str]
    """Orthanc's identifiers of the studies that changed, each once."""
    first: int
    """Sequence number of the first change of the page; 0: the page is empty."""
    last: int
    """Sequence number of the last change of the page."""
    is_done: bool


@dataclass(frozen=True, slots=True)
class OrthancStudy:
    id: str
    """Orthanc's identifier."""
    tags: Dataset
    """Main tags of study and patient."""
    state: str
    """Changes with the study: its last update, and whether it is stable."""


class OrthancReader:
    """Raises as `WebReader`, and `Malformed` for what Orthanc does not write."""

    def __init__(self, server: WebReader) -> None:
        self.server = server

    async def last_change(self) -> int:
        """The sequence number of the newest change; 0: there is none."""
        answer = await self.server.get_json("changes", [("last", "")])
        return _number(answer, "Last", self.server.at("changes"))

    async def changes(self, since: int, limit: int) -> Changes:
        """Changes after the one with the number `since`, the oldest first."""
        answer = await self.server.get_json("changes", [("since", str(since)), ("limit", str(limit))])
        place = self.server.at("changes")
        entries = answer.get("Changes") if isinstance(answer, dict) else None
        if not isinstance(entries, list):
            raise Malformed("no list of changes; url is the address of Orthanc's REST API", place=place)
        of_studies = [str(one["ID"]) for one in entries if _is_of_study(one)]
        last = _number(answer, "Last", place)
        first = _number(entries[0], "Seq", place) if entries else 0
        return Changes(tuple(dict.fromkeys(of_studies)), first, last, bool(answer.get("Done")) or not entries)

    async def studies(self, since: int, limit: int) -> Sequence[OrthancStudy]:
        """Studies from the one at the place `since` on, in Orthanc's order."""
        parameters = [("expand", ""), ("since", str(since)), ("limit", str(limit))]
        answer = await self.server.get_json("studies", parameters)
        if not isinstance(answer, list):
            raise Malformed("no list of studies", place=self.server.at("studies"))
        return [_study(one) for one in answer if isinstance(one, dict)]

    async def study(self, identifier: str) -> OrthancStudy | None:
        """None: it is not there any more."""
        answer = await self.server.get_json(f"studies/{_quoted(identifier)}", may_lack=True)
        return _study(answer) if isinstance(answer, dict) else None

    async def instances(self, study: str) -> Sequence[str]:
        """Orthanc's identifiers of the instances of a study; none: it is not there any more."""
        answer = await self.server.get_json(f"studies/{_quoted(study)}/instances", [("expand", "false")], may_lack=True)
        entries = answer if isinstance(answer, list) else []
        return [str(one.get("ID")) if isinstance(one, dict) else str(one) for one in entries]

    async def tags(self, instance: str) -> Dataset | None:
        """The attributes of an instance, without binary values; None: it is not there any more."""
        answer = await self.server.get_json(f"instances/{_quoted(instance)}/tags", may_lack=True)
        return _dataset(answer) if isinstance(answer, dict) else None


def _quoted(identifier: str) -> str:
    return quote(identifier, safe="")


def _is_of_study(change: Any) -> bool:
    return isinstance(change, dict) and change.get("ResourceType") == "Study" and bool(change.get("ID"))


def _number(answer: Any, key: str, place: str) -> int:
    number = answer.get(key, 0) if isinstance(answer, dict) else None
    if not isinstance(number, int):
        raise Malformed(f"no {key}; url is the address of Orthanc's REST API", place=place)
    return number


def _study(answer: Mapping[str, Any]) -> OrthancStudy:
    named = {**(answer.get("PatientMainDicomTags") or {}), **(answer.get("MainDicomTags") or {})}
    tags = {
        tag: Attribute(tag, vr_of(tag), (str(value),)) for name, value in named.items() if (tag := tag_named(str(name)))
    }
    stable = "stable" if answer.get("IsStable") else "growing"
    return OrthancStudy(str(answer.get("ID") or ""), tags, f"{answer.get('LastUpdate') or ''} {stable}")


def _dataset(members: Mapping[str, Any]) -> Dataset:
    attributes: dict[int, Attribute] = {}
    for name, member in members.items():
        tag = tag_named(str(name).replace(",", ""))
        if tag is not None and isinstance(member, dict) and (made := _attribute(tag, member)) is not None:
            attributes[tag] = made
    return attributes


def _attribute(tag: int, member: Mapping[str, Any]) -> Attribute | None:
    value, vr = member.get("Value"), vr_of(tag)
    if member.get("Type") == "Sequence" and isinstance(value, list):
        return Attribute(tag, "SQ", items=tuple(_dataset(one) for one in value if isinstance(one, dict)))
    if vr in BINARY or vr == "SQ" or member.get("Type") not in ("String", "Null"):
        return None
    text = value if isinstance(value, str) else ""
    return Attribute(tag, vr, (text,) if vr in _WITH_BACKSLASH else tuple(text.split("\\")))
