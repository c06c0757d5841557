"""The engine that reads `mappings/`: HL7 orders to DICOM worklists, DICOM headers to FHIR, performed steps to HL7."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError
from gateway.mapping import scanners
from gateway.mapping.corrections.correcting import CorrectionMapping
from gateway.mapping.corrections.dialect import CORRECTION_DIALECT
from gateway.mapping.language.files import close, read, read_tables
from gateway.mapping.language.rows import MappingFile
from gateway.mapping.orders import order_control
from gateway.mapping.orders.dialect import ORDER_DIALECT
from gateway.mapping.orders.functions import Settings
from gateway.mapping.orders.reading import OrderMapping
from gateway.mapping.orders.worklist_files import WorklistFileMapping
from gateway.mapping.status.dialect import STATUS_DIALECT
from gateway.mapping.status.message import StatusMapping
from gateway.mapping.studies import agreement
from gateway.mapping.studies.base import FhirSettings
from gateway.mapping.studies.dialect import STUDY_DIALECT
from gateway.mapping.studies.imaging_study import StudyMapping
from gateway.mapping.studies.literals import scheme_faults
from gateway.worklist.scanner_rules import ScannerRule

ORDERS, STUDIES, STATUSES = "order_to_worklist.yaml", "study_to_imagingstudy.yaml", "step_to_status.yaml"
CORRECTIONS, AGREEMENT = "corrections.yaml", "agreement.yaml"
_FILES: Final = (ORDERS, STUDIES, STATUSES, CORRECTIONS, AGREEMENT, scanners.SCANNERS)
CODING_SCHEMES: Final = "coding_scheme"
"""The code table that every Coding uses: Coding Scheme Designator -> Coding.system."""


def shipped() -> Path:
    """The folder of our own mapping files: inside the wheel, or beside the package in a checkout."""
    packaged = Path(__file__).parent.parent / "_mappings"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent.parent / "mappings"


@dataclass(frozen=True, slots=True)
class Mappings:
    """All mapping files, read and checked."""

    orders: OrderMapping
    studies: StudyMapping
    statuses: StatusMapping
    corrections: CorrectionMapping
    files: Mapping[str, MappingFile]
    worklist_files: WorklistFileMapping
    scanners: tuple[ScannerRule, ...] = ()


@dataclass(frozen=True, slots=True)
class _Files:
    """The content of the files of some folders, each of which was read once, and every fault found in them."""

    orders: MappingFile
    studies: MappingFile
    statuses: MappingFile
    corrections: MappingFile
    agreement: MappingFile
    scanners: tuple[ScannerRule, ...]
    faults: tuple[str, ...]

    @property
    def by_name(self) -> dict[str, MappingFile]:
        """The files of rows."""
        return {
            ORDERS: self.orders, STUDIES: self.studies, STATUSES: self.statuses, CORRECTIONS: self.corrections,
            AGREEMENT: self.agreement,
        }  # fmt: skip


def load(settings: Settings, fhir: FhirSettings, overlay: Path | None = None) -> Mappings:
    """Read our files and lay the site's `overlay` folder over them. Raises `ConfigError` with every fault found."""
    content = _ours() if overlay is None else _read([shipped(), overlay])
    orders, studies, faults = content.orders, content.studies, list(content.faults)
    if overlay is not None:
        # A row with a fault is not read: only without any other fault is it sure that nothing uses a table.
        faults = [*_strangers(overlay), *faults] or [*_unused_tables(overlay, content.by_name.values())]
    if faults:
        raise ConfigError(faults)
    fhir = replace(fhir, coding_schemes=studies.tables[CODING_SCHEMES].codes)
    of_orders = OrderMapping(orders, settings)
    of_studies = StudyMapping(studies, fhir, agreement.rules_of(content.agreement, fhir.zone))
    of_files = WorklistFileMapping(of_orders, settings)
    of_statuses = StatusMapping(content.statuses, settings.zone)
    of_corrections = CorrectionMapping(content.corrections)
    return Mappings(of_orders, of_studies, of_statuses, of_corrections, content.by_name, of_files, content.scanners)


def ours() -> Mapping[str, MappingFile]:
    """The files of the package without any overlay, by their name."""
    return _ours().by_name


@cache
def _ours() -> _Files:
    """The files of the package, which no running process sees change."""
    return _read([shipped()])


def _read(folders: Sequence[Path]) -> _Files:
    tables, faults = read_tables(folders)
    orders, of_orders = read(ORDERS, ORDER_DIALECT, folders, tables)
    studies, of_studies = read(STUDIES, STUDY_DIALECT, folders, tables)
    statuses, of_statuses = read(STATUSES, STATUS_DIALECT, folders, tables)
    corrections, of_corrections = read(CORRECTIONS, CORRECTION_DIALECT, folders, tables)
    agreeing, of_agreement = read(AGREEMENT, agreement.AGREEMENT_DIALECT, folders, tables)
    rules, of_scanners = scanners.read(folders)
    of_tables = (*scheme_faults(tables[CODING_SCHEMES]), *order_control.faults_of(tables))
    of_rows = (*of_orders, *of_studies, *of_statuses, *of_corrections, *of_agreement)
    beside = () if of_studies else agreement.faults_of(agreeing, studies)
    every = (*faults, *of_rows, *beside, *of_scanners, *of_tables)
    return _Files(orders, studies, statuses, corrections, agreeing, rules, every)


def _strangers(overlay: Path) -> Iterator[str]:
    """Files of an overlay that nothing would read: most likely misspelt."""
    if not overlay.is_dir():
        yield f"mappings.overlay: there is no folder {overlay}"
        return
    for path in sorted(overlay.glob("*.y*ml")):
        if path.name not in (*_FILES, scanners.FORMER_NAME):
            yield f"{overlay.name}/{path.name}: is not a mapping file{close(path.name, _FILES)}"
    for path in sorted(overlay.glob("*.csv")):
        yield f"{overlay.name}/{path.name}: belongs into {overlay.name}/tables/"


def _unused_tables(overlay: Path, files: Iterable[MappingFile]) -> Iterator[str]:
    of_rows = {row.table for file in files for level in file.rows.values() for row in level} - {""}
    used = of_rows | {CODING_SCHEMES, order_control.ORDER_CONTROL}
    for path in sorted((overlay / "tables").glob("*.csv")):
        if path.stem not in used:
            yield f"{overlay.name}/tables/{path.name}: no row uses this table{close(path.stem, sorted(used))}"
