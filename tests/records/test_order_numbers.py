"""The numbers of an order, as its messages state them."""

from __future__ import annotations

from dataclasses import replace

from gateway.records.imaging_order import Order, Procedure
from gateway.records.order import Number, OrderedProcedure
from gateway.records.order_book import applied
from gateway.records.order_matching import concerns, is_same
from gateway.records.order_numbers import numbered, parent_in, with_study
from gateway.records.step import StepEvent
from tests.records.test_order_book import said

ORDER = Order("", "", Number("P1", "RIS"), Number("", ""), "")


def _release(uid: str, *derived: str) -> OrderedProcedure:
    release = said(StepEvent.RELEASE)
    return replace(release, procedure={"StudyInstanceUID": uid}, derived=release.derived | set(derived))


def _procedure(uid: str) -> Procedure:
    return Procedure({"StudyInstanceUID": uid, "RequestedProcedureID": "RP"}, frozenset(), 1)


def test_what_a_message_does_not_state_stays() -> None:
    statement = replace(said(StepEvent.RELEASE), placer=Number("P1", ""), filler=Number("F1", ""))
    assert numbered(ORDER, statement).placer == Number("P1", "RIS")
    assert numbered(ORDER, statement).filler == Number("F1", "")
    assert numbered(ORDER, replace(statement, placer=None)).placer == Number("P1", "RIS")


def test_only_a_child_has_a_parent() -> None:
    statement = replace(said(StepEvent.NEW), parent=Number("P0", ""), parent_filler=Number("F0", ""))
    assert parent_in(replace(statement, control="CH")) == ("P0", "F0")
    assert parent_in(replace(statement, control="RO")) == ("", "")


def test_the_earliest_study_that_is_of_no_procedure_is_kept() -> None:
    waiting = with_study(with_study(ORDER, _release("1.2")), _release("1.3"))
    assert waiting.study_uid == "1.2"
    assert with_study(ORDER, _release("1.2", "StudyInstanceUID")).study_uid == "", "one of ours"
    assert with_study(replace(ORDER, procedures=(_procedure("1.2"),)), _release("1.2")).study_uid == ""


def test_a_study_that_becomes_a_procedure_s_is_no_longer_kept_twice() -> None:
    waiting, outcome = applied(ORDER, _release("1.2.1"))
    assert (waiting.study_uid, outcome) == ("1.2.1", "waiting")
    ordered, _ = applied(waiting, said(StepEvent.NEW, 2))
    assert (ordered.study_uid, ordered.study_uids) == ("", {"1.2.1"})


def test_a_study_without_procedure_keeps_no_other_order_from_it() -> None:
    other = replace(_release("1.2"), placer=Number("P2", "RIS"), filler=Number("F2", ""))
    stored = replace(ORDER, filler=Number("F1", ""))
    assert concerns(other, replace(stored, procedures=(_procedure("1.2"),)), ranked=0) is None
    assert concerns(other, with_study(stored, _release("1.2")), ranked=0) is False


def test_a_study_makes_one_of_what_is_ordered_and_what_waits() -> None:
    waiting = with_study(ORDER, _release("1.2"))
    ordered = replace(ORDER, placer=Number("", ""), filler=Number("F1", ""), procedures=(_procedure("1.2"),))
    assert is_same(waiting, ordered)
    assert not is_same(waiting, replace(ordered, placer=Number("P2", "RIS")))
