"""DICOM message exchange (PS3.7) over the upper layer (PS3.8): what stations and commands see of it."""

from gateway.wire.dimse.server import (
    Caller,
    DimseFailure,
    DimseServer,
    FindHandler,
    StoreHandler,
    StoreRequest,
)

__all__ = ["Caller", "DimseFailure", "DimseServer", "FindHandler", "StoreHandler", "StoreRequest"]
