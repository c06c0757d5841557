"""Which order a statement of a message is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from gateway.records.imaging_order import PROCEDURE_KEYS, STEP_ID, Order
from gateway.records.order import Number, OrderedProcedure
from gateway.records.step import StepEvent


def means(said: OrderedProcedure, order: Order, *, ranked: int) -> bool | None:
    """Whether a message means `order`, which it was found by. Ranked: 0 by its Study Instance UID, 1 filler number,
    2 placer number, 3 accession number. None: it is another's Study Instance UID.

    The same placer number under two filler numbers, or one accession for two orders, is not the same order.
    """
    filler = _same_number(said, said.filler, order, order.filler)
    placer = _same_number(said, said.placer, order, order.placer)
    if ranked == 0:
        return None if filler is False and placer is False else True
    sure = (filler is True, placer is True and filler is not False, not (filler is False or placer is False))
    return sure[ranked - 1]


def is_guess(said: OrderedProcedure, order: Order, *, ranked: int) -> bool:
    """Whether it is not known that both sides' numbers are of one sender: what says that they mean the same order is
    then no more than the equal number, which two senders may have given."""
    return ranked > 0 and not (said.sender and order.sender)


def said_by(statements: Iterable[Any], order: Order) -> Iterator[OrderedProcedure]:
    """What is said of `order` by those of a message's statements that speak of orders and mean something."""
    for one in statements:
        if isinstance(one, OrderedProcedure) and one.event is not None:
            said = said_of(one, order)
            if said is not None:
                yield said


def said_of(said: OrderedProcedure, order: Order) -> OrderedProcedure | None:
    """What a part of a message says of `order`: itself, what it does to a parent of which `order` is a part, the
    cancel of what it replaces; None if it speaks of another order."""
    uids = {procedure.study_uid for procedure in order.procedures}
    accession = "" if "AccessionNumber" in said.derived else str(said.order.get("AccessionNumber") or "")
    hits = (
        str(said.procedure.get("StudyInstanceUID") or "") in uids,
        said.filler is not None and said.filler.value == order.filler.value,
        said.placer is not None and said.placer.value == order.placer.value,
        bool(accession) and accession == order.accession and is_one(said.authority, order.authority),
    )
    if any(hit and means(said, order, ranked=rank) for rank, hit in enumerate(hits)):
        return said
    if order.parent and said.placer is not None and said.placer.value == order.parent:
        return of_child(said)
    if said.control == "RO" and said.parent is not None and said.parent.value == order.placer.value:
        return replacement(said)
    return None


def of_child(said: OrderedProcedure) -> OrderedProcedure:
    """What is done to a parent, as it is done to the whole of each child."""
    return replace(said, placer=None, filler=None, order={}, derived=said.derived | PROCEDURE_KEYS | {STEP_ID})


def replacement(said: OrderedProcedure) -> OrderedProcedure:
    """The end of the order that ORC-8 of a replacement order (RO) names."""
    whole = replace(of_child(said), placer=said.parent, procedure={}, parent=None)
    return replace(whole, event=StepEvent.CANCEL, control="RP")


def _same_number(said: OrderedProcedure, number: Number | None, order: Order, stored: Number) -> bool | None:
    """Whether message and order carry the same number of one authority; None when one of them has none.

    A number whose authority is not stated is its sender's.
    """
    if number is None or not stored.value:
        return None
    told = number.authority and stored.authority
    one_authority = number.authority == stored.authority if told else is_one(said.sender, order.sender)
    return bool(number.value == stored.value and one_authority)


def is_one(one: str, other: str) -> bool:
    """Whether two senders or authorities may be the same: one that nobody knows may be any."""
    return one == other or not (one and other)
