"""Reports of storage commitment that an archive sends over the association of the request, which is our own."""

from __future__ import annotations

import logging
from functools import partial

from gateway.wire.dimse import command
from gateway.wire.dimse.commitment import PUSH_MODEL, ReportedCommitment, ReportHandler, check_report
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.negotiation import AcceptedContext
from gateway.wire.dimse.normalized_data_set import read_data_set
from gateway.wire.dimse.requestor_taking import Serve
from gateway.wire.dimse.statuses import (
    ACTION_STATUSES,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    DimseFailure,
    comment_of,
    status_of,
)

log = logging.getLogger(__name__)


def serving(handler: ReportHandler) -> Serve:
    """What answers a peer over an association of our own: its reports, and nothing else."""
    return partial(_answered, handler)


async def _answered(handler: ReportHandler, message: DimseMessage, context: AcceptedContext, sender: str) -> bytes:
    request = message.command
    try:
        if request.field != command.N_EVENT_REPORT_RQ or context.abstract_syntax != PUSH_MODEL:
            raise DimseFailure(UNRECOGNIZED_OPERATION, "nothing but reports is taken here")
        check_report(request)
        dataset, is_long = await read_data_set(message, context.transfer_syntax)
        await handler(ReportedCommitment(sender, request.type_id, dataset, is_long))
    except Exception as error:
        status = status_of(error, ACTION_STATUSES)
        log.warning("DICOM N-EVENT-REPORT from %s ended with %04X", sender, status)
        return command.response(request, status, comment=comment_of(error))
    return command.response(request, SUCCESS, instance=request.sop_instance)
