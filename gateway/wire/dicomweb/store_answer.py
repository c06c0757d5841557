"""What an origin server answers to a Store transaction (PS3.18 10.5.3): Store Instances Response Module, Annex I."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Final

import aiohttp

from gateway.errors import Malformed
from gateway.long_work import LONG_BYTES, beside
from gateway.wire.dicomweb import dicom_json, native_xml
from gateway.wire.dicomweb.dataset import Attribute, Dataset
from gateway.wire.http import retry_after_of

_FAILED: Final = 0x00081198
_REFERENCED: Final = 0x00081199
_OTHER_FAILURES: Final = 0x0008119A
_UID: Final = 0x00081155
_WARNING_REASON: Final = 0x00081196
_FAILURE_REASON: Final = 0x00081197
_MOST_TEXT: Final = 300
_PADDING: Final = " \0"
"""Of a UID to an even length (PS3.5 6.2), which some servers leave in."""
_US: Final = re.compile("[0-9]{1,5}")
_MOST_US: Final = 0xFFFF


class Listed(Enum):
    """Where the answer lists the instance."""

    STORED = auto()
    """In Referenced SOP Sequence."""
    FAILED = auto()
    """In Failed SOP Sequence, or in Other Failures Sequence."""
    NOWHERE = auto()


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    http_status: int
    listed: Listed
    reason: int | None = None
    """Warning Reason (0008,1196) or Failure Reason (0008,1197)."""
    text: str = ""
    """The server's words."""
    retry_after: float | None = None
    """In seconds."""

    @property
    def is_successful(self) -> bool:
        """Whether the request was: of the instance `listed` tells."""
        return 200 <= self.http_status < 300


async def answer_of(response: aiohttp.ClientResponse, content: bytes, sop_instance_uid: str) -> StoreAnswer:
    """The answer to a request with this one instance. What cannot be read lists nothing."""
    reading = partial(_dataset, content)
    dataset = await beside(reading) if len(content) > LONG_BYTES else reading()
    listed, reason = _listed(dataset, sop_instance_uid)
    text = "" if listed is not Listed.NOWHERE else _words(response, content)
    return StoreAnswer(response.status, listed, reason, text, retry_after_of(response))


def _dataset(content: bytes) -> Dataset:
    """By what stands in it: some servers state no Content-Type, and some write a byte order mark."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return native_xml.read(content) if content.lstrip()[:1] == b"<" else dicom_json.read(content)
    except Malformed:
        return {}


def _listed(dataset: Dataset, sop_instance_uid: str) -> tuple[Listed, int | None]:
    failed = [*_items(dataset, _FAILED), *_items(dataset, _OTHER_FAILURES)]
    if failed:  # of the only instance that was sent, whether its UID could be read or not
        return Listed.FAILED, _number(failed[0], _FAILURE_REASON)
    for item in _items(dataset, _REFERENCED):
        if _value(item, _UID) == sop_instance_uid:
            return Listed.STORED, _number(item, _WARNING_REASON)
    return Listed.NOWHERE, None


def _items(dataset: Dataset, tag: int) -> Iterable[Dataset]:
    attribute: Attribute | None = dataset.get(tag)
    return attribute.items if attribute is not None else ()


def _value(item: Dataset, tag: int) -> str:
    attribute = item.get(tag)
    return attribute.values[0].strip(_PADDING) if attribute is not None and attribute.values else ""


def _number(item: Dataset, tag: int) -> int | None:
    written = _value(item, tag)
    return int(written) if _US.fullmatch(written) and int(written) <= _MOST_US else None


def _words(response: aiohttp.ClientResponse, content: bytes) -> str:
    stated = response.headers.get("Warning", "")
    if not stated and response.content_type == "text/plain":
        stated = content[:_MOST_TEXT].decode("utf-8", "replace")
    return " ".join((stated or response.reason or "").split())[:_MOST_TEXT]
