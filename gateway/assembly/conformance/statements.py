"""The statements by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.assembly.conformance import dicom, fhir, hl7
from gateway.config.tree import Config
from gateway.mapping import Mappings
from gateway.operations.conformance.sections import Statement, StatementName

STATEMENTS: Final[Mapping[StatementName, Callable[[Config, Mappings], Statement]]] = {
    StatementName.DICOM: dicom.statement,
    StatementName.HL7: hl7.statement,
    StatementName.FHIR: fhir.statement,
}
