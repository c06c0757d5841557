"""The numbers under which an order is known, as its messages state them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.imaging_order import NO_NUMBER, NO_STUDY, Order
from gateway.records.order import Number, OrderedProcedure
from gateway.records.step import CREATES

ACCESSION_KEYS: Final = ("AccessionNumber", "IssuerOfAccessionNumberSequence")


def stated(statement: OrderedProcedure) -> list[str]:
    """The numbers that a message itself states of its order: placer, filler, accession number, Study Instance UID."""
    numbers = [one.value for one in (statement.placer, statement.filler) if one is not None]
    for keyword, attributes in (("AccessionNumber", statement.order), ("StudyInstanceUID", statement.procedure)):
        if keyword not in statement.derived and attributes.get(keyword):
            numbers.append(str(attributes[keyword]))
    return numbers


def parent_in(statement: OrderedProcedure) -> tuple[str, str]:
    """Placer and filler number of the order that the statement makes its order a part of; empty for none."""
    if statement.control != "CH":
        return "", ""
    return (statement.parent or NO_NUMBER).value, (statement.parent_filler or NO_NUMBER).value


def numbered(order: Order, statement: OrderedProcedure) -> Order:
    """The order with the numbers of a message; what the message does not state stays."""
    placer, filler = _with(order.placer, statement.placer), _with(order.filler, statement.filler)
    parent, parent_filler = parent_in(statement)
    if placer is not order.placer or filler is not order.filler or parent or parent_filler:
        parent, parent_filler = parent or order.parent, parent_filler or order.parent_filler
        order = replace(order, placer=placer, filler=filler, parent=parent, parent_filler=parent_filler)
    return order if statement.event in CREATES else with_accession_number(order, statement)


def with_accession_number(order: Order, statement: OrderedProcedure) -> Order:
    """The order with the accession number of a message that orders nothing, in place of none or of our own."""
    stated = None if "AccessionNumber" in statement.derived else statement.order.get("AccessionNumber")
    if not stated or has_stated_accession_number(order):
        return order
    attributes = order.attributes | {key: statement.order[key] for key in ACCESSION_KEYS if statement.order.get(key)}
    return replace(order, attributes=attributes, authority=statement.authority or order.authority)


def has_stated_accession_number(order: Order) -> bool:
    """Whether the order has an accession number that is not our own, which is one of its order numbers."""
    return order.accession_number not in ("", order.placer.value, order.filler.value)


def with_study(order: Order, statement: OrderedProcedure) -> Order:
    """The order with the Study Instance UID of a message, while no procedure has it."""
    there = {procedure.study_uid for procedure in order.procedures}
    kept = NO_STUDY if order.study_uid in there else order.study_uid
    if not kept and "StudyInstanceUID" not in statement.derived:
        stated = StudyInstanceUID(statement.procedure.get("StudyInstanceUID") or "")
        kept = NO_STUDY if stated in there else stated
    return order if kept == order.study_uid else replace(order, study_uid=kept)


def _with(stored: Number, statement: Number | None) -> Number:
    if statement is None or statement == stored:
        return stored
    return Number(statement.value, statement.authority or stored.authority)
