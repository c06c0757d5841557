"""DICOM message exchange (PS3.7) over the upper layer (PS3.8): what stations and commands see of it."""

from gateway.wire.dimse.policy import SERVICES, Caller, Peer, Policy
from gateway.wire.dimse.server import DimseServer
from gateway.wire.dimse.services import DimseFailure, FindHandler, FindRequest, Match, StoreHandler, StoreRequest

__all__ = [
    "SERVICES",
    "Caller",
    "DimseFailure",
    "DimseServer",
    "FindHandler",
    "FindRequest",
    "Match",
    "Peer",
    "Policy",
    "StoreHandler",
    "StoreRequest",
]
