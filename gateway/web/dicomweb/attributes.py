"""Attributes of performed steps, between what DICOMweb reads and what the station keeps."""

from __future__ import annotations

from pydicom import DataElement
from pydicom import Dataset as PydicomDataset
from pydicom.config import IGNORE

from gateway.long_work import pause
from gateway.mapping.attributes import BINARY, from_dataset
from gateway.records.order import Attributes
from gateway.wire.dicomweb.dataset import Attribute, Dataset, vr_of


def attributes_of(dataset: Dataset) -> Attributes:
    """By the rules by which a data set of DIMSE is read: what its VR does not allow is left out."""
    return from_dataset(_as_pydicom(dataset), with_empty=True)


def _as_pydicom(dataset: Dataset) -> PydicomDataset:
    pause()
    made = PydicomDataset()
    for attribute in dataset.values():
        vr = _vr(attribute)
        if vr is None or vr in BINARY:
            continue
        try:
            made[attribute.tag] = _element(attribute, vr)
        except (ValueError, TypeError, OverflowError, NotImplementedError):
            continue
    return made


def _vr(attribute: Attribute) -> str | None:
    """The VR of PS3.6, whatever was sent; None for a sequence where there is none, or the other way round."""
    vr = vr_of(attribute.tag)
    if vr == "UN":
        return attribute.vr
    return vr if (vr == "SQ") == (attribute.vr == "SQ") else None


def _element(attribute: Attribute, vr: str) -> DataElement:
    if vr == "SQ":
        return DataElement(attribute.tag, "SQ", [_as_pydicom(item) for item in attribute.items])
    number = _NUMBERS.get(vr)
    values = [number(one) for one in attribute.values] if number is not None else list(attribute.values)
    value = values[0] if len(values) == 1 else values or None
    return DataElement(attribute.tag, vr, value, validation_mode=IGNORE)


_NUMBERS = {**dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), int), **dict.fromkeys(("FD", "FL"), float)}
