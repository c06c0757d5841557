"""Performed steps over DIMSE: N-CREATE, N-SET and N-GET (PS3.4 F.7, F.8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import orjson
from pydicom.datadict import keyword_for_tag

from gateway.errors import GatewayError, Rejected
from gateway.journey.performed_step.request import Request
from gateway.journey.performed_step.station import PerformedSteps
from gateway.long_work import beside
from gateway.mapping.attributes import to_dataset
from gateway.mapping.elements import of_elements
from gateway.observe import metrics
from gateway.records.order import Attributes
from gateway.wire.dimse import AttributesRequest, ExplainedFailure, GetRequest, Got
from gateway.wire.dimse.statuses import NORMALIZED_STATUSES, NOT_ALL_ATTRIBUTES, SUCCESS, status_of


class PerformedStepsScp:
    """What the DIMSE server calls."""

    def __init__(self, station: PerformedSteps) -> None:
        self._station = station

    async def create(self, request: AttributesRequest) -> None:
        """N-CREATE. Raises `ExplainedFailure`."""
        await self._answered("N-CREATE", request, self._station.create)

    async def set(self, request: AttributesRequest) -> None:
        """N-SET. Raises `ExplainedFailure`."""
        await self._answered("N-SET", request, self._station.set)

    async def get(self, request: GetRequest) -> Got:
        """N-GET: the attributes that are asked for, as far as they are kept. Raises `ExplainedFailure`."""
        try:
            attributes = await self._station.get(request.sop_instance_uid)
        except GatewayError as error:
            _count("N-GET", status_of(error, NORMALIZED_STATUSES))
            raise ExplainedFailure(error) from error
        got = await beside(partial(_got, attributes, request.tags))
        _count("N-GET", NOT_ALL_ATTRIBUTES if got.not_kept else SUCCESS)
        return got

    async def _answered(
        self, operation: str, request: AttributesRequest, work: Callable[[Request], Awaitable[object]]
    ) -> None:
        read = partial(of_elements, request.dataset)
        attributes = await beside(read) if request.is_long else read()
        caller = request.caller
        stated = Request(caller.calling_ae, caller.address, request.sop_instance_uid, attributes, request.is_long)
        try:
            await work(stated)
        except GatewayError as error:
            status = status_of(error, NORMALIZED_STATUSES)
            _count(operation, status)
            if isinstance(error, Rejected):
                await self._station.keep_refused(stated, f"{operation} {status:04X}", error)
            raise ExplainedFailure(error) from error
        _count(operation, SUCCESS)


def _got(attributes: Attributes, tags: Sequence[int]) -> Got:
    """The attributes with these tags (none: all); text that is not ASCII in UTF-8."""
    keywords = {tag: keyword_for_tag(tag) for tag in tags}
    wanted = {keyword: attributes[keyword] for keyword in keywords.values() if keyword in attributes}
    stated = wanted if tags else attributes
    dataset = to_dataset(stated)
    if not orjson.dumps(stated).isascii():
        dataset.SpecificCharacterSet = "ISO_IR 192"
    return Got(dataset, [tag for tag, keyword in keywords.items() if keyword not in attributes])


def _count(operation: str, status: int) -> None:
    metrics.PERFORMED_STEPS.labels(operation, f"{status:04X}").inc()
