"""Which order a statement of a message is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gateway.records.imaging_order import PROCEDURE_KEYS, STEP_ID, Order
from gateway.records.order import Number, OrderedProcedure
from gateway.records.row_ids import OrderRow
from gateway.records.step import CREATES, StepEvent


def concerns(statement: OrderedProcedure, order: Order, *, ranked: int) -> bool | None:
    """Whether a statement is about `order`, to which a number led. Ranked: 0 Study Instance UID, 1 filler number,
    2 placer number, 3 accession number. None: its Study Instance UID is that of another order's procedure.

    The same placer number under two filler numbers, or one accession for two orders, is not the same order.
    """
    filler = _same_number(statement, statement.filler, order, order.filler)
    placer = _same_number(statement, statement.placer, order, order.placer)
    if ranked == 0:
        if filler is False and placer is False:
            # What waits under a Study Instance UID has no right to it that it could keep from an order.
            return None if any(one.study_uid == _study_uid(statement) for one in order.procedures) else False
        return True
    sure = (filler is True, placer is True and filler is not False, not (filler is False or placer is False))
    return sure[ranked - 1]


def is_ambiguous(statement: OrderedProcedure, order: Order, *, ranked: int) -> bool:
    """Whether it is not known that both sides' numbers are of one sender: what says that they mean the same order is
    then no more than the equal number, which two senders may have given."""
    return ranked > 0 and not (statement.sender and order.sender)


def contradict(one: Order, other: Order) -> bool:
    """Whether two orders have numbers of one kind that differ: no message makes one order of them."""
    return any(
        bool(mine.value and theirs.value) and mine.value != theirs.value
        for mine, theirs in ((one.placer, other.placer), (one.filler, other.filler))
    )


def is_same(one: Order, other: Order) -> bool:
    """Whether two orders of one patient are one, which two of the patient's identities had kept apart."""
    shared = any(
        bool(mine.value) and mine.value == theirs.value and may_be_same(mine.authority, theirs.authority)
        for mine, theirs in ((one.filler, other.filler), (one.placer, other.placer))
    )
    shared = shared or not one.study_uids.isdisjoint(other.study_uids)
    if not (one.procedures and other.procedures):
        # What waits may have no more than the accession number.
        shared = shared or (
            bool(one.accession_number)
            and one.accession_number == other.accession_number
            and may_be_same(one.authority, other.authority)
        )
    return shared and not contradict(one, other) and may_be_same(one.sender, other.sender)


def groups_of_one(pairs: Iterable[tuple[Order, Order]]) -> list[list[Order]]:
    """Those of `pairs` that are one order each, all its rows together: a third may be what two have in common.

    `pairs`: stored orders of one patient that share a number. Each group has two orders or more.
    """
    group_of: dict[OrderRow | None, list[Order]] = {}
    for one, other in pairs:
        mine, theirs = group_of.get(one.row, [one]), group_of.get(other.row, [other])
        if mine is theirs or not is_same(one, other) or any(contradict(a, b) for a in mine for b in theirs):
            continue
        group = [*mine, *theirs]
        group_of |= {order.row: group for order in group}
    return list({id(group): group for group in group_of.values()}.values())


def statements_about(
    statements: Iterable[Any], order: Order, parents: Sequence[Order] = ()
) -> Iterator[OrderedProcedure]:
    """The statements about `order` among those of a message. `parents`: the orders that it is a part of."""
    for one in statements:
        if isinstance(one, OrderedProcedure) and one.event is not None:
            statement = statement_about(one, order, parents)
            if statement is not None:
                yield statement


def statement_about(
    statement: OrderedProcedure, order: Order, parents: Sequence[Order] = ()
) -> OrderedProcedure | None:
    """What a part of a message says of `order`: itself, what it does to a parent of which `order` is a part, the
    cancel of what it replaces; None if it speaks of another order."""
    if _names(statement, order):
        return statement
    if (end := replacement(statement)) is not None and _names(end, order):
        return end
    for parent in parents:
        done = statement_about(statement, parent)
        if done is not None and done.event not in CREATES:
            return of_child(done)
    return None


def _names(statement: OrderedProcedure, order: Order) -> bool:
    """Whether one of the statement's numbers leads to `order`."""
    accession_number = (
        "" if "AccessionNumber" in statement.derived else str(statement.order.get("AccessionNumber") or "")
    )
    hits = (
        _study_uid(statement) in order.study_uids,
        statement.filler is not None and statement.filler.value == order.filler.value,
        statement.placer is not None and statement.placer.value == order.placer.value,
        bool(accession_number)
        and accession_number == order.accession_number
        and may_be_same(statement.authority, order.authority),
    )
    return any(hit and concerns(statement, order, ranked=rank) for rank, hit in enumerate(hits))


def _study_uid(statement: OrderedProcedure) -> str:
    return str(statement.procedure.get("StudyInstanceUID") or "")


def of_child(statement: OrderedProcedure) -> OrderedProcedure:
    """What is done to a parent, as it is done to the whole of each child."""
    derived = statement.derived | PROCEDURE_KEYS | {STEP_ID}
    return replace(statement, placer=None, filler=None, order={}, derived=derived, missing=())


def replacement(statement: OrderedProcedure) -> OrderedProcedure | None:
    """The end of the order that ORC-8 of a replacement order (RO) names; None for any other statement."""
    placer, filler = statement.parent, statement.parent_filler
    if statement.control != "RO" or placer is filler is None:
        return None
    whole = replace(of_child(statement), placer=placer, filler=filler, procedure={}, parent=None, parent_filler=None)
    return replace(whole, event=StepEvent.CANCEL, control="RP")


def _same_number(statement: OrderedProcedure, number: Number | None, order: Order, stored: Number) -> bool | None:
    """Whether message and order carry the same number of one authority; None when one of them has none.

    A number whose authority is not stated is its sender's.
    """
    if number is None or not stored.value:
        return None
    states_authorities = number.authority and stored.authority
    one_authority = (
        number.authority == stored.authority if states_authorities else may_be_same(statement.sender, order.sender)
    )
    return bool(number.value == stored.value and one_authority)


def may_be_same(one: str, other: str) -> bool:
    """Whether two senders or authorities may be the same: one that nobody knows may be any."""
    return one == other or not (one and other)
