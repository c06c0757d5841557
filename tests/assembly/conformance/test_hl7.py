"""The HL7 statement lists what each listener takes and what is sent; what is served and not stated fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gateway
from gateway.assembly.conformance.hl7_messages import BY_CODE, MSH, PATIENT_WORDS, STEP_WORDS
from gateway.assembly.mappings import load_mappings
from gateway.assembly.readers import source_of
from gateway.config.tree import Config
from gateway.journey.order_intake.codes import CONDITIONS
from gateway.journey.order_intake.sources import SERVED
from gateway.mapping import ORDERS, STATUSES
from gateway.mapping.coverage import READ_BY_CODE, fields_read
from gateway.mapping.status.shapes import SHAPES
from gateway.operations.conformance.sections import StatementName
from gateway.records.patient import PATIENT_EVENTS
from gateway.records.step import APPOINTMENTS, ORDER_EVENTS
from gateway.wire.charsets import TABLE_0211
from tests.assembly.conformance import sites
from tests.assembly.conformance.sites import BIG, SITES, rows

BOTH = pytest.mark.parametrize("config", SITES.values(), ids=SITES)


def sections(config: Config | None = None) -> dict[str, dict[str, object]]:
    return sites.sections(StatementName.HL7, config or SITES["defaults"])


@BOTH
def test_each_listener_states_the_types_that_its_senders_may_send(config: Config) -> None:
    stated = sections(config)
    assert [row["Listener"] for row in rows(stated["1.1"])] == [one.name for one in config.hl7.listeners]
    for number, listener in enumerate(config.hl7.listeners, 1):
        section = stated[f"1.1.{number}"]
        senders = source_of(config, listener).senders
        taken = {
            f"{kind}^{trigger}"
            for kind, trigger in SERVED
            for one in senders
            if {(kind, trigger), (kind, "")} & one.message_types
        }
        assert {row["MSH-9"] for row in rows(section, "Message types")} == taken
        assert len(rows(section, "Senders")) == len(senders)


def test_every_type_and_trigger_is_stated_by_the_defaults() -> None:
    listed = {row["MSH-9"] for row in rows(sections()["1.1.1"], "Message types")}
    assert listed == {f"{kind}^{trigger}" for kind, trigger in SERVED}
    assert set(PATIENT_EVENTS.values()) == set(PATIENT_WORDS)
    assert {*ORDER_EVENTS, *APPOINTMENTS.values()} == set(STEP_WORDS)


def test_every_field_that_a_row_or_the_program_reads_is_stated() -> None:
    stated = {row["Field"] for row in rows(sections()["1.2"])}
    file = load_mappings(Config()).files[ORDERS]
    wanted = {f"{segment}-{number}" if number else segment for segment, number in fields_read(file)}
    assert wanted <= stated
    assert set(BY_CODE) == READ_BY_CODE
    source = (Path(gateway.__file__).parent / "wire" / "hl7" / "message.py").read_text(encoding="utf-8")
    assert {int(one) for one in re.findall(r"msh\.(?:leaf|field|repetitions)\((\d+)", source)} <= set(MSH)


def test_every_code_is_stated() -> None:
    stated, file = sections(), load_mappings(Config()).files[ORDERS]
    controls = {row["ORC-1 (table 0119)"] for row in rows(stated["1.3"], "Table order_control")}
    assert controls == {code.partition("/")[0] for code in file.tables["order_control"].codes}
    for name in {row.table for level in file.rows.values() for row in level} - {""}:
        assert {row["Code"] for row in rows(stated["1.3"], f"Table {name},")} == set(file.tables[name].codes)
    assert len(rows(stated["1.4"], "Codes")) == len(CONDITIONS)
    assert {row["Name"] for row in rows(stated["1.6"])} == set(TABLE_0211)


@BOTH
def test_what_is_sent_is_stated_field_by_field(config: Config) -> None:
    stated, file = sections(config), load_mappings(config).files[STATUSES]
    sending = [one.status for one in config.hl7.destinations if one.status]
    for number, kind in enumerate(sending or SHAPES, 1):
        listed = [(row["Field"], row["How"]) for row in rows(stated[f"1.7.{number}"]) if "How" in row]
        wanted = {row.target.partition("@")[0] for name in SHAPES[kind].segments for row in file.rows[name]
                  if row.target.partition("@")[2] in ("", kind[:3])}  # fmt: skip
        assert {field for field, _ in listed} == wanted
        assert len(listed) == len(wanted), "one row for each field"


def test_each_destination_states_its_header() -> None:
    [section, *_] = [one for number, one in sections(BIG).items() if number == "1.7.1"]
    header = {row["Field"]: row["Value"] for row in rows(section, "MSH")}
    [first, *_] = BIG.hl7.destinations
    assert (header["MSH-3"], header["MSH-12"]) == (first.sending_application, first.version)
    listed = {row["Destination"]: row for row in rows(sections(BIG)["1.7"])}
    assert set(listed) == {one.name for one in BIG.hl7.destinations}
    assert listed[first.name]["Passed on unchanged"] == ", ".join(first.forward)
