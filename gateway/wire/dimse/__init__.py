"""DICOM message exchange (PS3.7) over the upper layer (PS3.8): what stations and commands see of it."""

from gateway.wire.dimse.normalized import AttributesRequest, GetRequest, Got, PerformedStepHandler
from gateway.wire.dimse.policy import SERVICES, Caller, Peer, Policy
from gateway.wire.dimse.server import DimseServer
from gateway.wire.dimse.services import FindHandler, FindRequest, Match, StoreHandler, StoreRequest
from gateway.wire.dimse.statuses import DimseFailure, ExplainedFailure, Pending

__all__ = [
    "SERVICES",
    "AttributesRequest",
    "Caller",
    "DimseFailure",
    "DimseServer",
    "ExplainedFailure",
    "FindHandler",
    "FindRequest",
    "GetRequest",
    "Got",
    "Match",
    "Peer",
    "Pending",
    "PerformedStepHandler",
    "Policy",
    "StoreHandler",
    "StoreRequest",
]
