"""What instances state together does not depend on the order in which they came, nor on what they stated before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.records.agreement import (
    MOST_LISTED,
    NOTHING,
    AgreementRule,
    AgreementRules,
    Rule,
    Rules,
    Stating,
    Together,
    agreed,
    must_be_read_again,
    of_levels,
    together,
    with_one_more,
)
from gateway.records.identifiers import SOPInstanceUID
from gateway.records.order import Attributes

SIDES = ("Laterality", "ImageLaterality")
OPERATORS = ("OperatorsName", "OperatorIdentificationSequence")
ID_OF = {name: {"PersonIdentificationCodeSequence": [{"CodeValue": name}]} for name in "abc"}


def rules(*of: tuple[Rule, tuple[str, ...]]) -> Rules:
    return {keyword: AgreementRule(rule, keywords) for rule, keywords in of for keyword in keywords}


RULES = rules(
    (Rule.EQUAL, SIDES), (Rule.LIST, OPERATORS), (Rule.NEWEST, ("StudyDescription", "StudyID")),
    (Rule.FIRST, ("InstitutionName", "InstitutionCodeSequence")),
)  # fmt: skip
TEXTS = st.sampled_from(["L", "R"])
NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True)
PAIRS = NAMES.map(lambda names: {OPERATORS[0]: names, OPERATORS[1]: [ID_OF[name] for name in names]})
OTHERS = [keyword for keyword in RULES if keyword not in OPERATORS]
STATED = st.builds(
    lambda texts, names: {**texts, **names},
    st.dictionaries(st.sampled_from([*OTHERS, "BodyPartExamined", "ProtocolName"]), TEXTS),
    st.one_of(st.just({}), PAIRS, NAMES.map(lambda names: {OPERATORS[0]: names[0]})),
)
UIDS = st.sampled_from([f"1.{number}" for number in range(5)]).map(SOPInstanceUID)
SENT = st.lists(st.builds(Stating, UIDS, STATED, st.one_of(st.none(), st.integers(0, 3))), max_size=12)


def kept(sent: Sequence[Stating]) -> tuple[Attributes, bool]:
    """What is known when all were sent, one at a time, and whether it is known without reading all of them again."""
    held, is_known = NOTHING, True
    for one in sent:
        expected = agreed(held, one, RULES), must_be_read_again(held, one, RULES)
        held, must_be_read = with_one_more(held, one, RULES)
        assert (held, must_be_read) == expected
        is_known = is_known and not must_be_read
    return held.attributes, is_known


def stating(uid: str, made_at: int | None = None, /, **values: object) -> Stating:
    return Stating(SOPInstanceUID(uid), values, made_at)


def of(*sent: Stating, by: Rules = RULES) -> Attributes:
    return together(sent, by).attributes


@given(SENT)
def test_one_at_a_time_gives_what_all_give_at_once_or_asks_to_read_again(sent: list[Stating]) -> None:
    """Also where instances were sent again with other contents."""
    last = {one.sop_uid: one for one in sent}
    attributes, is_known = kept(sent)
    assert not is_known or attributes == of(*last.values())


@given(SENT, st.randoms())
def test_any_order_gives_one_result_without_reading_again(sent: list[Stating], shuffled: random.Random) -> None:
    """Also where each comes twice."""
    once = list({one.sop_uid: one for one in sent}.values())
    twice = [*once, *once]
    shuffled.shuffle(twice)
    assert kept(twice)[0] == kept(once)[0] == of(*once)
    assert kept(once)[1]


def test_two_instances_of_one_uid_in_two_series_give_one_result() -> None:
    copies = [stating("1.1", A="x", OperatorsName=["b", "a"]), stating("1.1", A="y", OperatorsName=["c"])]
    assert of(*copies) == of(*reversed(copies))
    assert not kept(copies)[1], "so they are read again, all at once"


def test_the_lowest_uid_counts_and_others_fill_gaps() -> None:
    assert of(stating("1.2", A="2", B="2"), stating("1.1", A="1"), stating("1.3", C="3")) == {
        "A": "1",
        "B": "2",
        "C": "3",
    }


def test_an_instance_sent_again_corrects_what_it_stated() -> None:
    assert kept([stating("1.1", A="wrong"), stating("1.2", A="another"), stating("1.1", A="right")])[0] == {
        "A": "right"
    }


def test_what_is_no_longer_stated_is_read_again() -> None:
    assert not kept([stating("1.1", A="1"), stating("1.2", A="2"), stating("1.1")])[1]
    assert kept([stating("1.1", A="1"), stating("1.2", A="2"), stating("1.2")])[1], "it did not count"


def test_sides_that_differ_are_no_side() -> None:
    assert of(stating("1.1", Laterality="L"), stating("1.2", Laterality="R"), stating("1.3", Laterality="L")) == {}
    assert of(stating("1.1", Laterality="L"), stating("1.2", Laterality="L")) == {"Laterality": "L"}


def test_sides_in_different_attributes_are_compared() -> None:
    assert of(stating("1.1", Laterality="L"), stating("1.2", ImageLaterality="R")) == {}
    assert of(stating("1.2", ImageLaterality=["L", "R"]), stating("1.1", ImageLaterality="L")) == {}
    assert of(stating("1.1", ImageLaterality="L"), stating("1.2", Laterality="L")) == {"Laterality": "L"}


def test_a_side_that_was_corrected_is_a_side_again_once_all_are_read() -> None:
    sent = [stating("1.1", Laterality="L"), stating("1.2", Laterality="R"), stating("1.2", Laterality="L")]
    assert not kept(sent)[1]
    assert of(sent[0], sent[2]) == {"Laterality": "L"}


def test_the_newest_counts_by_its_own_time() -> None:
    early, late, unknown = stating("1.1", 1, StudyID="e"), stating("1.2", 2, StudyID="l"), stating("1.0", StudyID="u")
    assert of(early, late, unknown) == {"StudyID": "l"}
    assert of(late, stating("1.3", 2, StudyID="x")) == {"StudyID": "l"}, "of one moment the lowest UID"
    assert of(unknown, stating("1.01", StudyID="x")) == {"StudyID": "u"}


def test_all_values_are_listed_with_what_belongs_to_them() -> None:
    both = of(
        stating("1.2", OperatorsName=["b", "a"], OperatorIdentificationSequence=[ID_OF["b"], ID_OF["a"]]),
        stating("1.1", OperatorsName="c"),
        stating("1.3", OperatorsName="a", OperatorIdentificationSequence=[ID_OF["a"]]),
    )
    assert both == {"OperatorsName": ["c", "b", "a"], "OperatorIdentificationSequence": [{}, ID_OF["b"], ID_OF["a"]]}


def test_names_without_as_many_ids_have_none() -> None:
    stated = stating("1.1", OperatorsName=["a", "b"], OperatorIdentificationSequence=[ID_OF["a"]])
    assert of(stated) == {"OperatorsName": ["a", "b"]}


def test_a_list_has_a_bound() -> None:
    many = [stating(f"1.{number:03}", OperatorsName=f"n{number}") for number in range(MOST_LISTED + 5)]
    assert of(*many)["OperatorsName"] == kept(many[::-1])[0]["OperatorsName"] == [f"n{n}" for n in range(MOST_LISTED)]


def test_attributes_of_one_fact_are_of_one_instance() -> None:
    code = [{"CodeValue": "N"}]
    assert of(
        stating("1.1", InstitutionName="South"), stating("1.2", InstitutionName="North", InstitutionCodeSequence=code)
    ) == {"InstitutionName": "South"}
    assert of(stating("1.1", InstitutionCodeSequence=code), stating("1.2", InstitutionName="North")) == {
        "InstitutionName": "North"
    }


@pytest.mark.parametrize(
    "sources",
    [{"Laterality": "1.1"}, {"Laterality": ""}, {"ImageLaterality": "1.1"}, {"A": ""}, {"A": ["list", "1.1"]}],
    ids=str,
)
def test_what_other_rules_have_made_is_read_again(sources: dict[str, str | list[str]]) -> None:
    """Rules that were changed since, and rows of earlier versions."""
    held = Together({"Laterality": "R", "A": "x"}, sources)
    assert must_be_read_again(held, stating("1.2"), RULES)
    assert agreed(held, stating("1.2", Laterality="L", A="y"), RULES).attributes == {"Laterality": "L", "A": "y"}


LEVELS = {"study": {"TimezoneOffsetFromUTC": "-0100"}, "series": {}}
NOON = 1_893_499_200_000_000


@pytest.mark.parametrize(
    ("instance", "moment"),
    [
        ({"InstanceCreationDate": "20300101", "InstanceCreationTime": "110000", "ContentDate": "2029"}, NOON),
        ({"InstanceCreationDate": "no date", "ContentDate": "20300101", "ContentTime": "11"}, NOON),
        ({"AcquisitionDateTime": "20300101140000.000+0200"}, NOON),
        ({"AcquisitionDateTime": "20300101110000"}, NOON),
        ({"AcquisitionDate": "20300101"}, NOON - 11 * 3_600_000_000),
        ({"ContentTime": "110000"}, None),
    ],
    ids=str,
)
def test_when_an_instance_was_made(instance: Attributes, moment: int | None) -> None:
    of_rules = AgreementRules(study=RULES, zone=timezone(timedelta(hours=5)))
    stated = of_levels(SOPInstanceUID("1.1"), {**LEVELS, "instance": instance}, of_rules)
    assert stated["study"].made_at == stated["series"].made_at == moment


def test_no_moment_is_read_where_no_rule_asks() -> None:
    assert AgreementRules(series=rules((Rule.EQUAL, SIDES)), zone=UTC).keywords == frozenset()
    assert "ContentTime" in AgreementRules(series=RULES).keywords
