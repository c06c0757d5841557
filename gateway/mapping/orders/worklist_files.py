# Long: one item is read level by level, in one sequence.
"""A worklist item in a file, as wlmscpfs and Orthanc serve it, read as the order that a message would have been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from gateway.errors import InvalidValue, Place, Rejected, RequiredMissing
from gateway.mapping.attributes import from_dataset
from gateway.mapping.identifiers import DERIVATIONS, Known
from gateway.mapping.orders.dialect import OWN
from gateway.mapping.orders.file_values import FileValues
from gateway.mapping.orders.functions import Settings
from gateway.mapping.orders.levels import REFUSES
from gateway.mapping.orders.order_numbers import issuer_of
from gateway.mapping.orders.reading import OrderMapping
from gateway.records.finding import Finding
from gateway.records.order import Attributes, Number, OrderedProcedure, OrderedStep
from gateway.records.step import StepEvent

STEPS: Final = "ScheduledProcedureStepSequence"
STEP_ID: Final = "ScheduledProcedureStepID"
NEEDED: Final = ("PatientID", "PatientName")
NEEDED_OF_STEP: Final = ("Modality", "ScheduledProcedureStepStartDate")
"""Type 1 in PS3.4 Table K.6-1, and nothing stands in for them."""
BEFORE_EVERY_MESSAGE: Final = 1
"""Microseconds since 1970: whatever the RIS says of the order is newer than its file."""
_LEVEL_OF_GROUP: Final = {0x0010: "patient", 0x0038: "order"}


class WorklistFileMapping:
    """Which level an attribute belongs to, and what is derived where one is missing, is what the order mapping says."""

    def __init__(self, orders: OrderMapping, settings: Settings) -> None:
        self._settings = settings
        self._levels: dict[str, str] = {}
        self._derived: dict[str, str] = {}
        self._too_long: dict[str, str] = {}
        for level, rows in orders.rows.items():
            for one in rows:
                self._levels[one.row.target] = "order" if level == "visit" else level
                self._too_long[one.row.target] = one.row.too_long
                if one.row.otherwise:
                    self._derived[one.row.target] = one.row.otherwise

    def read(self, dataset: Dataset, sender: str) -> OrderedProcedure:
        """`sender`: whose accession numbers these are, as the HL7 messages of the RIS name it; empty: nobody knows.

        A value that does not fit its attribute is left out with a finding. Raises `RequiredMissing`, `InvalidValue`,
        `ValueTooLong` and `Undecodable`, each with the keyword, for what nothing may stand in the place of.
        """
        values = FileValues(self._too_long, STEPS)
        dataset_values = values.fitted(from_dataset(dataset), without=OWN - {STEPS})
        for fault in values.faults:
            if fault.place in REFUSES:
                raise fault
        items = dataset_values.pop(STEPS, None) or []
        if not items:
            raise RequiredMissing("a worklist item has its scheduled step in an item of it", place=STEPS)
        levels: dict[str, Attributes] = {"patient": {}, "order": {}, "procedure": {}, "step": {}}
        for keyword, value in dataset_values.items():
            if keyword not in OWN:
                levels[self._level(keyword)][keyword] = value
        _need(levels["patient"], NEEDED, values.faults)
        derived = set[str]()
        issuer = self._settings.patient_id_issuer
        if issuer and "IssuerOfPatientID" not in levels["patient"]:
            levels["patient"]["IssuerOfPatientID"] = issuer
            derived.add("IssuerOfPatientID")
        order, procedure = levels["order"], levels["procedure"]
        authority = issuer_of(order) or sender
        placer, filler = (_number(order, f"{kind}OrderNumberImagingServiceRequest") for kind in ("Placer", "Filler"))
        known = Known(dict(order), sender, placer.value if placer else "", filler.value if filler else "", 0)
        derived |= {*self._derive("AccessionNumber", order, known)}
        for keyword in ("RequestedProcedureID", "StudyInstanceUID"):
            derived |= {*self._derive(keyword, procedure, known)}
            _need_number(procedure, keyword)
        steps = []
        for position, item in enumerate(items):
            # Some files hold an attribute of the step beside its sequence.
            step = {**levels["step"], **{key: value for key, value in item.items() if key not in OWN}}
            _need(step, NEEDED_OF_STEP, values.faults)
            of_step = Known(known.attributes, sender, known.placer, known.filler, position)
            derived |= {*self._derive("ScheduledProcedureStepID", step, of_step)}
            _need_number(step, "ScheduledProcedureStepID")
            steps.append(OrderedStep(step))
        _check_distinct(steps)
        return OrderedProcedure(
            place=Place(STEPS),
            event=StepEvent.NEW,
            control="NW",
            event_at=BEFORE_EVERY_MESSAGE,
            patient=levels["patient"],
            order=order,
            procedure=procedure,
            steps=tuple(steps),
            authority=authority,
            sender=sender,
            placer=placer,
            filler=filler,
            derived=frozenset(derived),
            findings=(
                *values.findings,
                *(Finding(one.place, f"{one.message}; it is left out") for one in values.faults),
            ),
        )

    def _level(self, keyword: str) -> str:
        tag = tag_for_keyword(keyword) or 0
        return self._levels.get(keyword) or _LEVEL_OF_GROUP.get(tag >> 16, "procedure")

    def _derive(self, keyword: str, level: Attributes, known: Known) -> tuple[str, ...]:
        """Fill in an identifier that is missing; returns its keyword if that was done."""
        if not level.get(keyword):
            value = DERIVATIONS[self._derived[keyword]](known) if keyword in self._derived else ""
            if not value:
                return ()
            level[keyword] = value
            known.attributes[keyword] = value
            return (keyword,)
        known.attributes[keyword] = level[keyword]
        return ()


def _need(attributes: Mapping[str, object], keywords: tuple[str, ...], faults: Sequence[Rejected]) -> None:
    for keyword in keywords:
        if not attributes.get(keyword):
            missing = RequiredMissing("has no value; give the file one", place=keyword)
            raise next((fault for fault in faults if fault.place == keyword), missing)


def _need_number(attributes: Attributes, keyword: str) -> None:
    if not attributes.get(keyword):
        raise RequiredMissing(
            f"the item has no {keyword}, and no order number, accession number or procedure ID to derive it from",
            place=keyword,
        )


def _check_distinct(steps: list[OrderedStep]) -> None:
    known = set[str]()
    for step in steps:
        step_id = str(step.attributes[STEP_ID])
        if step_id in known:
            raise InvalidValue(f"two items have {step_id!r}; give each its own", place=STEP_ID)
        known.add(step_id)


def _number(order: Attributes, keyword: str) -> Number | None:
    value = str(order.get(keyword) or "")
    return Number(value, "") if value else None
