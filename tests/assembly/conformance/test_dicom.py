"""The DICOM statement lists what is served and what is asked for; what is served and not stated fails here."""

from __future__ import annotations

import pytest
from pydicom.datadict import tag_for_keyword

from gateway.assembly.conformance.dicom_content import operations_of
from gateway.assembly.conformance.dicom_queries import classes_of_sources
from gateway.assembly.dicom_destinations import classes_of
from gateway.assembly.implementation import implementation_uid
from gateway.assembly.mappings import load_mappings
from gateway.config.dicom import Dicom
from gateway.config.tree import Config
from gateway.dicom_dictionary import ADDED
from gateway.mapping import CORRECTIONS, ORDERS
from gateway.operations.conformance.sections import StatementName
from gateway.records.performed_step_attributes import ATTRIBUTES, ITEMS
from gateway.records.step import StepState
from gateway.web.dicomweb.transactions import TRANSACTIONS
from gateway.wire.dimse import normalized, statuses
from gateway.wire.dimse.commitment import PUSH_MODEL
from gateway.wire.dimse.negotiation import PLAIN_SYNTAXES, TRANSFER_SYNTAXES, served_syntaxes, service_of
from gateway.wire.dimse.policy import SERVICES
from gateway.worklist import keys
from gateway.worklist.matching import SUPPORTED_KEYS
from tests.assembly.conformance import sites
from tests.assembly.conformance.sites import BIG, SITES, rows

BOTH = pytest.mark.parametrize("config", SITES.values(), ids=SITES)


def sections(config: Config | None = None) -> dict[str, dict[str, object]]:
    return sites.sections(StatementName.DICOM, config or SITES["defaults"])


@BOTH
def test_every_class_that_is_accepted_is_listed_with_its_name(config: Config) -> None:
    stated = sections(config)
    listed = [*rows(stated["N.1.1"]), *rows(stated["N.1.2"])]
    more = frozenset(config.dicom.storage_classes)
    assert {row["UID"] for row in listed if row["SCP"] in ("Y", "Option")} == set(served_syntaxes(more))
    assert {service_of(row["UID"]) for row in listed} == SERVICES
    assert {row["UID"] for row in listed if row["SOP Class"].startswith("(")} == set(more)


def test_every_operation_is_listed_with_a_class_and_every_class_with_an_operation() -> None:
    stated = sections()
    listed = [*rows(stated["N.1.1"]), *rows(stated["N.1.2"])]
    assert {name for row in listed for name in row["Operations"].split(", ")} == {
        "C-ECHO", "C-FIND", "C-GET", "C-MOVE", "C-STORE", *normalized.NAMES.values()
    }  # fmt: skip
    for field, classes in normalized.CONTEXTS.items():
        assert all(normalized.NAMES[field] in operations_of(str(uid)) for uid in classes)


@BOTH
def test_every_class_that_a_destination_is_asked_for_is_stated_as_scu(config: Config) -> None:
    stated = sections(config)
    asked = {uid for one in config.dicom.destinations for uid in classes_of(one)}
    asked |= {PUSH_MODEL for one in config.dicom.destinations if one.storage_commitment}
    asked |= classes_of_sources(config)
    assert {row["UID"] for row in rows(stated["N.1.2"]) if row["SCU"] == "Y"} == asked
    sources = {row["Name"] for row in rows(stated["N.5.2.10.1"], "Sources")} - {"none"}
    assert sources == {one.name for one in config.studies.sources if one.kind == "dicom"}
    listed = {row["Name"] for row in rows(stated["N.5.2.10"], "Destinations")} - {"none"}
    assert listed == {one.name for one in config.dicom.destinations}
    archives = {row["Name"] for row in rows(stated["N.5.3.1"], "Archives and folders")} - {"none"}
    assert archives == {one.name for one in config.studies.forward_to}
    made = {
        (row["Transaction"], row["Resource"]): row["User Agent"]
        for row in rows(stated["N.1.3"])
        if row["User Agent"] != "N"
    }
    are_asked = any(one.kind == "dicomweb" for one in config.studies.sources)
    assert made == {
        ("Store", "/studies"): "Y" if archives else "Option",
        ("Search", "/studies"): "Y" if are_asked else "Option",
        ("RetrieveMetadata", "/studies/{study}/metadata"): "Y" if are_asked else "Option",
    }


@BOTH
def test_every_web_transaction_is_listed_with_its_parameters_and_statuses(config: Config) -> None:
    stated = sections(config)
    served = [row for row in rows(stated["N.1.3"]) if row["Origin Server"] != "N"]
    listed = {(row["Transaction"], row["Method"], row["Resource"]) for row in served}
    assert listed == {(one.method.id, one.method.http_method, one.path) for one in TRANSACTIONS}
    options = {row["Transaction"] for row in served if row["Origin Server"] == "Option"}
    of_pixels = {one.method.id for one in TRANSACTIONS if one.of_pixels}
    off = set() if config.studies.stow.enabled else {one.method.id for one in TRANSACTIONS if one.of_storing}
    assert options == off | (of_pixels if config.studies.storage == "headers" else set())
    assert len(rows(stated["N.5.3"])) == len(TRANSACTIONS)
    codes = {row["Code"]: row["Transactions"].split(", ") for row in rows(stated["N.7.3.3"])}
    assert all(one.method.id in codes[str(status)] for one in TRANSACTIONS for status in one.method.statuses)


@BOTH
def test_every_key_that_is_compared_and_every_attribute_that_is_mapped_is_listed(config: Config) -> None:
    stated = sections(config)
    listed = rows(stated["N.5.2.7"], "Attributes")
    wanted: set[int | None] = {*load_mappings(config).orders.tags}
    wanted |= {tag_for_keyword(one) for one in (*keys.OF_ROOT, *keys.OF_STEP, *SUPPORTED_KEYS)}
    named = {f"({int(tag) >> 16:04X},{int(tag) & 0xFFFF:04X})" for tag in wanted if tag is not None}
    assert named - {row["Tag"] for row in listed} == {"(0008,1040)"}, "compared only where a site's row gives it"
    assert {row["Attribute Name"] for row in listed if row["Matching key"] == "R"} == {
        "Scheduled Procedure Step Sequence", "Scheduled Station AE Title", "Scheduled Procedure Step Start Date",
        "Scheduled Procedure Step Start Time", "Modality", "Scheduled Performing Physician's Name", "Patient's Name",
        "Patient ID",
    }  # fmt: skip
    [gender] = [row for row in listed if row["Tag"] == "(0010,0041)"]
    assert (gender["Matching Type"], gender["Return key"]) == ("sequence", "3")
    shown = {row["State of the step"]: row["In the worklist"] for row in rows(stated["N.5.2.7"], "States")}
    assert shown == {state: "N" if state in config.dicom.hidden_states else "Y" for state in StepState}


def test_the_attributes_of_performed_steps_are_those_of_the_rules() -> None:
    listed = rows(sections()["N.5.2.2"])
    assert len(listed) == len(ATTRIBUTES) + sum(map(len, ITEMS.values()))
    [start] = [row for row in listed if row["Attribute Name"] == "Performed Procedure Step Start Date"]
    assert (start["Required in N-CREATE"], start["Required in N-SET"]) == ("Y", "N")
    assert (start["Type in N-CREATE"], start["Type in N-SET"]) == ("1", "not allowed")


def test_every_status_is_listed() -> None:
    stated = sections()
    codes = {row["Status"] for row in rows(stated["N.7.3"], "C-") + rows(stated["N.7.3"], "N-")}
    tables = (statuses.FIND_STATUSES, statuses.STORE_STATUSES, statuses.NORMALIZED_STATUSES)
    assert {f"{status:04X}" for table in tables for _, status in table} <= codes
    assert {f"{one:04X}" for one in statuses.Pending} <= codes
    assert len(rows(stated["N.7.3"], "Error ID")) == len(statuses.ERROR_IDS)


@BOTH
def test_the_association_policy_is_that_of_the_configuration(config: Config) -> None:
    stated = sections(config)
    policy = {row["Item"]: row["Value"] for row in rows(stated["N.7.2"], "Association policy")}
    assert policy["AE title"] == config.dicom.ae_title
    assert policy["Implementation Class UID"] == implementation_uid(config)
    assert policy["Maximum PDU size received as acceptor"] == f"{config.dicom.max_pdu_bytes} bytes"
    assert str(config.dicom.port) in policy["Address and ports"] or (config.dicom.tls and config.dicom.tls.only)
    listed = {row["UID"] for row in rows(stated["N.7.2"], "Transfer syntaxes")}
    assert {*PLAIN_SYNTAXES, *TRANSFER_SYNTAXES} == listed
    peers = {row["Calling AE title"] for row in rows(stated["N.7.2"], "Who may associate")}
    titles = {one.ae_title for one in config.dicom.peers} | set(config.dicom.allowed_calling_aes)
    assert peers - {"any other"} == titles
    parameters = {row["Key"] for row in rows(stated["N.6"])}
    lists = {"peers", "destinations", "tls"}
    assert {f"`dicom.{name}`" for name in Dicom.model_fields.keys() - lists} <= parameters


def test_each_port_with_tls_is_stated_with_its_profile() -> None:
    listed = rows(sections(BIG)["N.8"], "Secure connections")
    tls = BIG.dicom.tls
    assert tls is not None
    [acceptor] = [row for row in listed if row["Address"].endswith(f":{tls.port}") and row["Role"] == "acceptor"]
    assert "B.12" in acceptor["Secure transport connection profile"]
    repositories = {row["Repository"] for row in rows(sections(BIG)["N.8"], "Audit repositories")}
    assert repositories == {one.name for one in BIG.audit.repositories}
    requestors = [row["Secure transport connection profile"] for row in listed if row["Role"] == "requestor"]
    assert [("B.12" in one) for one in requestors] == [one.tls is not None for one in BIG.dicom.destinations]
    plain = rows(sections()["N.8"], "Secure")
    assert [(row["Service"], row["Secure transport connection profile"]) for row in plain] == [
        ("DIMSE", "none"), ("DICOM Web services", "none"),
    ]  # fmt: skip


def test_every_row_of_the_mapping_and_every_attribute_of_a_later_edition_is_listed() -> None:
    stated = sections()
    listed = {row["Attribute Name"]: row["Edition"] for row in rows(stated["N.10"])}
    assert listed == {one.name: one.edition for one in ADDED}
    mapped = load_mappings(Config()).files[ORDERS].rows.values()
    assert len(rows(stated["N.11"])) == sum(map(len, mapped))


def test_every_attribute_that_is_coerced_is_stated_with_its_reason() -> None:
    file = load_mappings(SITES["defaults"]).files[CORRECTIONS]
    wanted = {(tag_for_keyword(row.target), level) for level, of_level in file.rows.items() for row in of_level}
    listed = rows(sections()["N.12"])
    assert {(int(row["Tag"].strip("()").replace(",", ""), 16), row["Level"]) for row in listed} == wanted
    assert {row["Reason"] for row in listed} == {"COERCE", "CORRECT"}
