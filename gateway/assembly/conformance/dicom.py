"""The DICOM conformance statement, in the order of the template of PS3.2 Annex N."""

from __future__ import annotations

from typing import Final

from gateway.assembly.conformance import (
    dicom_content,
    dicom_mapping,
    dicom_network,
    dicom_performed,
    dicom_requests,
    dicom_security,
    dicom_worklist,
)
from gateway.config.tree import Config
from gateway.mapping import Mappings
from gateway.operations.conformance.sections import Statement, StatementSection
from gateway.wire.dimse.server import VERSION_NAME


def statement(config: Config, mappings: Mappings) -> Statement:
    """The conformance statement of a gateway with this configuration."""
    return Statement(
        (
            StatementSection("N", "DICOM conformance statement", _INTRODUCTION.format(version=VERSION_NAME)),
            *dicom_content.sections(config),
            StatementSection("N.3", "Introduction", _TERMS),
            StatementSection("N.4", "Implementation model", dicom_network.model(config)),
            StatementSection("N.5", "Service and interoperability description"),
            StatementSection("N.5.2", "DIMSE services"),
            *dicom_performed.sections(config),
            *dicom_worklist.sections(config, mappings),
            *dicom_requests.sections(config),
            *dicom_content.web_sections(config),
            *dicom_network.sections(config),
            *dicom_security.sections(config),
            *dicom_mapping.sections(mappings),
        )
    )


_INTRODUCTION: Final = """\
In short, with the sections of the template of PS3.2 Annex N that apply to {version}. `gateway conformance dicom`
makes it from the tables by which the gateway serves, for the configuration in force; `docs/conformance.md` is that of
the defaults."""
_TERMS: Final = """\
For those who connect a modality, a PACS or a RIS. It states what the gateway offers and asks for; whether a given
pair of products works together, a test has to show.

SCU: service class user, who asks. SCP: service class provider, who serves. MWL: Modality Worklist. MPPS: Modality
Performed Procedure Step. IAN: Instance Availability Notification. AE: application entity. PDU: protocol data unit. Y:
yes; N: no; Option: where the configuration says so, which it does not here."""
