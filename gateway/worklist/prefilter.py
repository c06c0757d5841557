"""What the database can narrow a query by, before the rules of matching decide."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.worklist import moments
from gateway.worklist.answering import STEP_SEQUENCE
from gateway.worklist.items import Item
from gateway.worklist.matching import (
    ACCESSION,
    MODALITY,
    PATIENT_ID,
    PATIENT_NAME,
    START_DATE,
    STATION_AE,
    STUDY_UID,
    matcher,
)
from gateway.worklist.names import component_groups

# What a database may select beforehand


@dataclass(frozen=True)
class Prefilter:
    """Conditions that every matching item fulfils, so selecting by them loses none. None: no condition."""

    patient_id: str | None = None
    accession_number: str | None = None
    study_uids: tuple[str, ...] | None = None
    modality: str | None = None
    """In upper case."""
    station_ae: str | None = None
    name_prefix: str | None = None
    """Of `name_key`."""
    date_from: str | None = None
    """DA, the first day of the step's start."""
    date_to: str | None = None
    """DA, the last day, included."""

    @property
    def finds_few(self) -> bool:
        """Whether it names one order, study or patient, or begins a name long enough: there are never very many steps
        of those."""
        named = self.name_prefix is not None and len(self.name_prefix) >= _LONG_PREFIX
        return named or any(one is not None for one in (self.accession_number, self.patient_id, self.study_uids))


_LONG_PREFIX: Final = 5


def prefilter_of(identifier: Item) -> Prefilter:
    """Raises `InvalidValue` for whatever key `matcher` would, be there items or not."""
    matcher(identifier)
    step = identifier.get(STEP_SEQUENCE)
    step_keys: Item = step.items[0] if step is not None and step.items else {}
    modality = exact(step_keys, MODALITY)
    uids = listed(identifier, STUDY_UID)
    date_from, date_to = days_of(step_keys, START_DATE)
    return Prefilter(
        patient_id=exact(identifier, PATIENT_ID),
        accession_number=exact(identifier, ACCESSION),
        study_uids=None if not uids or "*" in uids else tuple(uids),
        modality=modality.upper() if modality else None,
        station_ae=exact(step_keys, STATION_AE),
        name_prefix=name_prefix(listed(identifier, PATIENT_NAME)),
        date_from=date_from,
        date_to=date_to,
    )


def name_prefix(keys: Sequence[str]) -> str | None:
    """How the name keys (`gateway.worklist.names.name_key`) of all names begin that match; None: that is not known."""
    if len(keys) != 1 or "=" in keys[0]:
        return None
    prefix = re.split(r"[*?]", component_groups(keys[0])[0])[0].rstrip("^ ")
    return prefix if prefix.isascii() and prefix else None


def listed(keys: Item, tag: int) -> list[str]:
    """The values of a key."""
    return [value for value in keys[tag].values if value] if tag in keys else []


def exact(keys: Item, tag: int) -> str | None:
    """The value of a key that has one, without a wild card."""
    given = listed(keys, tag)
    return given[0] if len(given) == 1 and not set("*?") & set(given[0]) else None


def days_of(keys: Item, tag: int) -> tuple[str | None, str | None]:
    """The first and the last day (DA) that a key of dates allows; None: it is open. Raises `ValueError`."""
    given = listed(keys, tag)
    if len(given) != 1 or given[0] == "*":
        return None, None
    days = moments.span("DA", given[0])
    return _da(days.first), _da(days.last)


def _da(moment: int | None) -> str | None:
    return None if moment is None else f"{datetime.date.fromordinal(moment // moments.DAY):%Y%m%d}".zfill(8)
