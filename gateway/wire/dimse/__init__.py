"""DICOM message exchange (PS3.7) over the upper layer (PS3.8): what stations and commands see of it."""

from gateway.wire.dimse.normalized import AttributesRequest, GetRequest, Got, PerformedStepHandler
from gateway.wire.dimse.policy import SERVICES, AcceptorPolicy, Caller, Peer
from gateway.wire.dimse.receiving import StoreHandler, StoreRequest
from gateway.wire.dimse.server import DimseServer
from gateway.wire.dimse.services import EncodedMatch, FindHandler, FindRequest
from gateway.wire.dimse.statuses import DimseFailure, ExplainedFailure, Pending

__all__ = [
    "SERVICES",
    "AcceptorPolicy",
    "AttributesRequest",
    "Caller",
    "DimseFailure",
    "DimseServer",
    "EncodedMatch",
    "ExplainedFailure",
    "FindHandler",
    "FindRequest",
    "GetRequest",
    "Got",
    "Peer",
    "Pending",
    "PerformedStepHandler",
    "StoreHandler",
    "StoreRequest",
]
