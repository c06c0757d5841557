"""What studies and series are found by, of what their instances say: columns with indexes."""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.records.agreement import Together
from gateway.records.identifiers import StudyInstanceUID, looked_for
from gateway.records.order import Attributes
from gateway.worklist.names import name_key

LONGEST_NAME: Final = 200
"""Characters of a name that are compared: an index of PostgreSQL takes no entry of some kilobytes."""
_LONGEST_CODE: Final = 16
_DATE: Final = re.compile(r"\d{8}", re.ASCII)


def lock_of(study_uid: StudyInstanceUID) -> str:
    """What is held while a study or what counts of it is changed."""
    return f"study|{study_uid}"


def lock_of_served(study_uid: StudyInstanceUID) -> str:
    """The key that is held by whoever writes what is served of a study, or deletes it."""
    return f"served|{study_uid}"


def of_study(attributes: Attributes) -> dict[str, Any]:
    """The columns of `studies`."""
    date = text_of(attributes, "StudyDate")
    return {
        "accession": looked_for(text_of(attributes, "AccessionNumber")),
        "patient_id": looked_for(text_of(attributes, "PatientID")),
        "patient_issuer": looked_for(text_of(attributes, "IssuerOfPatientID")),
        "study_date": date if _DATE.fullmatch(date) else "",
        "name_key": name_key(text_of(attributes, "PatientName"))[:LONGEST_NAME],
    }


def of_series(attributes: Attributes) -> dict[str, Any]:
    """The columns of `series`."""
    return {"modality": text_of(attributes, "Modality").upper()[:_LONGEST_CODE]}


def study_columns(stated: Together) -> dict[str, Any]:
    """What a row of `studies` holds of what its instances state."""
    return {**stated._asdict(), **of_study(stated.attributes)}


def series_columns(stated: Together) -> dict[str, Any]:
    """What a row of `series` holds of what its instances state."""
    return {**stated._asdict(), **of_series(stated.attributes)}


def text_of(attributes: Attributes, keyword: str) -> str:
    """The first value of an attribute, '' where there is none."""
    value = attributes.get(keyword, "")
    return str(value[0] if isinstance(value, list) and value else value or "")
