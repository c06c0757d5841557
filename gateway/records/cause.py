"""Why work failed or a message was not applied, without what differs from study to study:
the same cause is mended once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.records.work import WorkKind

_PARTICULARS: Final = (
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "UUID"),
    (re.compile(r"\b[0-2](?:\.\d+){3,}\b"), "UID"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "ID"),
    (re.compile(r"\[\d+\]"), "[n]"),
    (re.compile(r"(?<!HTTP )\b\d+\b"), "N"),
    (re.compile(r"'[^']*'"), "'…'"),
)
"""What differs from study to study in the words of an error, and what stands for it."""
_OF_MESSAGES: Final = (
    *_PARTICULARS[:4],
    (re.compile(r"(?<![A-Z0-9]{3}-)(?<!\.)\b\d+\b"), "N"),
    _PARTICULARS[5],
)
"""The same for messages: the numbers of fields, such as `PID-3.1`, differ from cause to cause."""


@dataclass(frozen=True, slots=True)
class Cause:
    key: str
    """Short, and the same for the same cause: `gateway replay --cause KEY`."""
    kind: WorkKind
    text: str
    """The error without the numbers and names of a single study."""


def cause_of(kind: WorkKind, outcome: Mapping[str, Any]) -> Cause:
    """The cause of a failure with this outcome. The words are an EHR's, which has no code for each of its refusals."""
    text = _without_particulars(str(outcome.get("error") or "unknown"))
    codes = sorted({str(issue.get("code")) for issue in outcome.get("issues") or () if issue.get("code")})
    return Cause(_key(str(kind), text, *codes), kind, text)


@dataclass(frozen=True, slots=True)
class MessageCause:
    """Why messages were not applied, or could not be read at all."""

    key: str
    """Short, and the same for the same cause: `gateway put-away --cause KEY`."""
    text: str
    """Place and fault without the numbers and names of a single message."""


def cause_of_message(finding: Mapping[str, str]) -> MessageCause:
    """The cause of a message whose first fault this finding (`place`, `text`) is."""
    text = _without_particulars(finding["text"], _OF_MESSAGES)
    place = _REPETITION.sub("[n]", finding["place"])
    return MessageCause(_key(place, text), f"{place}: {text}" if place else text)


def cause_of_refusal(source: str, reason: str) -> MessageCause:
    """The cause of what arrived unreadable: who sent it counts, since what it was is not known."""
    return MessageCause(_key("refused", source, reason), f"{source}: {reason}")


_REPETITION: Final = re.compile(r"\[\d+\]")


def _without_particulars(text: str, particulars: Sequence[tuple[re.Pattern[str], str]] = _PARTICULARS) -> str:
    for particular, sign in particulars:
        text = particular.sub(sign, text)
    return text


def _key(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode(errors="replace")).hexdigest()[:8]
