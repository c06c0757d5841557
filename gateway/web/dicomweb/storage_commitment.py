"""Request and Result Check of Storage Commitment (PS3.18 13.4, 13.5)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from gateway.errors import GatewayError, InvalidValue, Rejected
from gateway.journey.storage_commitment.station import StorageCommitment
from gateway.long_work import beside, with_pauses
from gateway.observe import metrics
from gateway.records.commitment import CommitmentReport, FailureReason, Reference
from gateway.records.order import Attributes
from gateway.web.dicomweb.context import CONTEXT, uid_of
from gateway.web.dicomweb.login import SCANNER, check_service
from gateway.web.dicomweb.representations import payload, preferred, results, writer
from gateway.web.dicomweb.statuses import STATUSES
from gateway.web.failures import status_of
from gateway.wire.dicomweb.dataset import Attribute, Dataset
from gateway.wire.dicomweb.media_types import ONE_RESULT
from gateway.wire.dimse.policy import COMMITMENT

REQUESTS: Final = "/commitment-requests"
RETRY_SECONDS: Final = 2
"""After so long a result is asked for again."""
_PLACE: Final = "Transaction UID"
_STUDIES, _REFERENCED, _FAILED = 0x00081110, 0x00081199, 0x00081198
_CLASS, _INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197


async def request_commitment(request: web.Request) -> web.Response:
    """The request is kept, and its result is asked for: 202. A Transaction UID that the requester has used is refused,
    whatever the content is (Table 13.4.3-1)."""
    check_service(request, COMMITMENT)
    station = _station(request)
    attributes: Attributes | None = None
    try:
        uid = uid_of(request, _PLACE)
        stated, is_long = await payload(request, partial(_attributes, uid))
        attributes = stated
        await station.begin(request[SCANNER], stated, is_long=is_long)
    except GatewayError as error:
        status = status_of(error, STATUSES)
        _count(status)
        if attributes is not None and isinstance(error, Rejected):
            source = f"{request[SCANNER]} {request.remote or ''}"
            await station.keep_refused(source, attributes, f"Request {status} {error}")
        raise
    _count(202)
    return _pending()


async def check_result(request: web.Request) -> web.Response:
    """What is decided, or 202 without a payload while instances may come. Raises `UnknownKey` for a transaction of
    another requester, as for none."""
    check_service(request, COMMITMENT)
    media_type, *_ = preferred(request, ONE_RESULT)
    report = await _station(request).result(request[SCANNER], uid_of(request, _PLACE))
    if report is None:
        return _pending()
    write = writer(media_type)
    response = await beside(lambda: results(media_type, [write(_response_module(report))]))
    metrics.COMMITMENT_REPORTS.labels(str(report.event_type), "fetched", "200").inc()
    return response


def _station(request: web.Request) -> StorageCommitment:
    station = request.app[CONTEXT].commitment
    assert station is not None
    return station


def _pending() -> web.Response:
    return web.Response(status=202, headers={hdrs.RETRY_AFTER: str(RETRY_SECONDS)})


def _attributes(uid: str, dataset: Dataset) -> Attributes:
    """The Storage Commitment Request Module (PS3.18 J.1), without pydicom, which is slow with many items."""
    if _STUDIES in dataset:
        text = "commitment by study is not offered: name each instance in Referenced SOP Sequence"
        raise InvalidValue(text, place="ReferencedStudySequence")
    items = dataset[_REFERENCED].items if _REFERENCED in dataset else ()
    references = [
        {"ReferencedSOPClassUID": _text(item.get(_CLASS)), "ReferencedSOPInstanceUID": _text(item.get(_INSTANCE))}
        for item in with_pauses(items)
    ]
    return {"TransactionUID": uid, "ReferencedSOPSequence": references}


def _text(attribute: Attribute | None) -> str:
    return "" if attribute is None or len(attribute.values) != 1 else attribute.values[0].strip(" \0")


def _response_module(report: CommitmentReport) -> Dataset:
    """The Storage Commitment Response Module (PS3.18 J.2)."""
    failed = [_item(one, why) for one, why in with_pauses(report.failed)]
    committed = [_item(one) for one in with_pauses(report.committed)]
    return {**_sequence(_FAILED, failed), **_sequence(_REFERENCED, committed)}


def _sequence(tag: int, items: Iterable[Dataset]) -> Dataset:
    return {tag: Attribute(tag, "SQ", items=tuple(items))} if items else {}


def _item(reference: Reference, reason: FailureReason | None = None) -> Dataset:
    item = {
        _CLASS: Attribute(_CLASS, "UI", (reference.sop_class_uid,)),
        _INSTANCE: Attribute(_INSTANCE, "UI", (reference.sop_uid,)),
    }
    return item if reason is None else {_REASON: Attribute(_REASON, "US", (str(int(reason)),)), **item}


def _count(status: int) -> None:
    metrics.COMMITMENT_REQUESTS.labels(str(status)).inc()
