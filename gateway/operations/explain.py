"""A dry run: what a file would become, each attribute with the source it came from. Nothing is stored or sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.errors import InvalidDicomError

from gateway.clock import now
from gateway.errors import GatewayError, Place
from gateway.journey.order_intake.codes import acknowledgement_code
from gateway.journey.order_intake.reading import MessageReader
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.reading import ALWAYS, InstanceReader
from gateway.mapping import ORDERS, STUDIES, Mappings
from gateway.mapping.coverage import SilentRow, UnreadField, silent_rows, unread_fields
from gateway.mapping.language.trace import Trace
from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival
from gateway.records.arrived_study import ArrivedStudy, arrived_study
from gateway.records.disagreement import Disagreement, disagreements
from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study import Release, Shape
from gateway.wire import part10_file
from gateway.wire.dimse.text import mend_texts
from gateway.wire.fhir.validation import faults_of_imaging_study

MOST_VALUES: Final = 5
"""Of an attribute in which instances differ."""
LONGEST_SHOWN: Final = 160
"""Characters of a value; an identifier with its system, a UID or an LO of 64 each, is never cut."""
HL7_STARTS: Final = (b"MSH", b"FHS", b"BHS", b"\x0b", b"\xef\xbb\xbfMSH")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one message or one study would give."""

    title: str
    traces: Sequence[Trace]
    error: str = ""
    resource: dict[str, Any] | None = None
    findings: Sequence[Finding] = ()
    silent: Sequence[SilentRow] = ()
    """Rows that gave nothing."""
    unread: Sequence[UnreadField] = ()
    """Fields of the message, or attributes of the study, that no row reads."""
    differing: Sequence[tuple[str, Disagreement]] = ()
    """(study or series, what its instances state differently)."""

    def as_json(self) -> dict[str, Any]:
        """The JSON that `gateway explain --json` prints."""
        found: dict[str, Any] = {
            "title": self.title,
            "rows": [asdict(trace) for trace in self.traces],
            "error": self.error,
            "findings": [finding.as_row() for finding in self.findings],
            "silent": [asdict(row) for row in self.silent],
            "unread": [{"place": str(field.place), "value": field.value} for field in self.unread],
            "differing": [
                {"of": of, "rule": one.rule.rule, "attributes": one.rule.keywords, "origin": one.rule.origin}
                | {"values": one.values}
                for of, one in self.differing
            ],
        }
        return found if self.resource is None else found | {"resource": self.resource}


def explain(
    mappings: Mappings, reader: MessageReader, listener: str, paths: Iterable[Path], *, release: Release = "R4"
) -> list[Explanation]:
    """Explain HL7 messages and DICOM files or folders; the files of one study are explained together.

    Messages are read as those of `listener`, by its name. A path that holds neither is an explanation with an error.
    """
    explanations, files_read = list[Explanation](), list[_DicomFile]()
    for path in paths:
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        if not files:
            explanations.append(Explanation(str(path), (), "no HL7 message or DICOM file there"))
        for file in files:
            try:
                with file.open("rb") as handle:
                    start = handle.read(8)
                if start.startswith(HL7_STARTS):
                    explanations.append(explain_message(mappings, reader, listener, file.read_bytes(), f"{file}: "))
                else:
                    files_read.append(_DicomFile.of(file))
            except InvalidDicomError:
                text = "neither an HL7 message (it does not start with MSH) nor a DICOM file (no DICM prefix)"
                explanations.append(Explanation(str(file), (), text))
            except OSError as error:
                explanations.append(Explanation(str(file), (), f"cannot be read: {error.strerror}"))
            except Exception as error:
                explanations.append(Explanation(str(file), (), f"not readable as DICOM ({type(error).__name__})"))
    studies: dict[str, list[_DicomFile]] = {}
    for one in files_read:
        if "DirectoryRecordSequence" not in one.dataset:
            studies.setdefault(str(one.dataset.get("StudyInstanceUID", "")), []).append(one)
    return explanations + [_explain_study(mappings, uid, files, release) for uid, files in studies.items()]


def explain_message(
    mappings: Mappings, reader: MessageReader, listener: str, raw: bytes, before: str = "", *, at: int | None = None
) -> Explanation:
    """What a message would become, as one from `listener` received `at` (microseconds; None: now). `before`: what its
    title begins with."""
    trace: list[Trace] = []
    raw = raw.strip(b"\x0b\x1c\r\n") + b"\r"
    reading = reader.read(raw, now() if at is None else at, listener, trace)
    message, what = reading.message, "HL7 message"
    if message is not None:
        what = f"{message.type}^{message.trigger} {message.control_id}"
    title = f"{before}{what} -> worklist item, as from {listener}"
    if message is None:
        return Explanation(title, trace, _refused(reading.error))
    file = mappings.files[ORDERS]
    silent = silent_rows(file, trace, PATIENT_LEVELS if message.type == "ADT" else ()) if trace else []
    unread = unread_fields(message, file)
    if reading.error is not None:
        return Explanation(title, trace, _refused(reading.error), silent=silent, unread=unread)
    kept = [reading.kept_only, *(getattr(statement, "not_imaging", None) for statement in reading.statements)]
    answer = "; ".join(f"would be answered AA; {one.place}: {one.text}" for one in kept if one)
    return Explanation(title, trace, answer, findings=reading.findings, silent=silent, unread=unread)


def _refused(error: GatewayError | None) -> str:
    if error is None:
        return ""
    return f"would be answered {acknowledgement_code(error)}: {'; '.join(map(str, (error, *error.others)))}"


PATIENT_LEVELS: Final = ("patient", "visit")
"""What a message about a patient as such (ADT) has."""


@dataclass(frozen=True, slots=True)
class _DicomFile:
    dataset: pydicom.Dataset
    """As pydicom reads it, without pixels."""
    path: Path

    @classmethod
    def of(cls, path: Path) -> _DicomFile:
        """Raises what pydicom raises."""
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        mend_texts(dataset)
        return cls(dataset, path)

    def arrival(self, reader: InstanceReader) -> InstanceArrival:
        """The instance as it would be kept. Raises `Rejected`."""
        syntax, begins_at = part10_file.data_set_of(self.path)
        incoming = Incoming(Sender("explain"), syntax, self.path.read_bytes(), begins_at=begins_at)
        return reader.read(incoming, now())


def _explain_study(mappings: Mappings, uid: str, files: list[_DicomFile], release: Release) -> Explanation:
    title = f"study {uid or '(no Study Instance UID)'}: {len(files)} instances -> ImagingStudy ({release})"
    trace: list[Trace] = []
    findings: list[Finding] = []
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        if not all(one.dataset.get(keyword) for one in files):
            return Explanation(title, trace, f"would not be taken: an instance has no {keyword}")
    reader = InstanceReader(mappings.studies.keywords)
    try:
        arrivals = [one.arrival(reader) for one in files]
    except GatewayError as error:
        return Explanation(title, trace, f"would not be taken: {error}")
    try:
        arrived = arrived_study(StudyInstanceUID(uid), arrivals, mappings.studies.rules)
        findings += arrived.study.findings
        resource = mappings.studies.build(arrived.study, shape=Shape(release), trace=trace, findings=findings)
    except GatewayError as error:
        return Explanation(title, trace, f"would be parked: {error}")
    faults = faults_of_imaging_study(resource, release)
    silent = silent_rows(mappings.files[STUDIES], trace)
    unread, differing = list(_unread(mappings, files[0])), list(_differing(arrived, mappings.studies.rules))
    return Explanation(title, trace, "; ".join(faults), resource, findings, silent, unread, differing)


def _differing(arrived: ArrivedStudy, rules: AgreementRules) -> Iterator[tuple[str, Disagreement]]:
    """Where the rules decide: of the study, then of each series."""
    yield from (("study", one) for one in disagreements(arrived.of_study, rules.study))
    for uid, stated in arrived.of_series.items():
        yield from ((f"series {uid}", one) for one in disagreements(stated, rules.series))


def _unread(mappings: Mappings, file: _DicomFile) -> Iterator[UnreadField]:
    """Attributes of a file that are kept at no level, without pixels and how they are encoded."""
    kept = frozenset[str]().union(*ALWAYS.values(), *mappings.studies.keywords.values())
    for element in file.dataset:
        if (
            element.keyword
            and element.keyword not in kept
            and element.tag.group not in NO_FACTS
            and not element.is_empty
        ):
            yield UnreadField(Place(element.keyword), "" if element.VR == "SQ" else str(element.value))


NO_FACTS: Final = frozenset({0x0028, 0x7FE0})
"""Groups of the image itself."""


def render(explanation: Explanation, *, instances: int = 1) -> list[str]:
    """Lines for a person: target, value, source, row. Rows that repeat per series or instance are shown once."""
    shown: dict[tuple[str, str], int] = {}
    lines, rows = [explanation.title], []
    for trace in explanation.traces:
        key = (trace.level, trace.target)
        shown[key] = shown.get(key, 0) + 1
        if trace.level in ("series", "instance") and shown[key] > instances:
            continue
        rows.append((trace.level, trace.target, shown_value(trace.value), trace.source, trace.origin, trace.remark))
    widths = [
        min(max((len(row[column]) for row in rows), default=0), limit)
        for column, limit in ((0, 10), (1, 44), (2, 56), (3, 36))
    ]
    for row in rows:
        cells = "  ".join(row[column].ljust(width) for column, width in enumerate(widths))
        remark = f"  ({row[5]})" if row[5] else ""
        lines.append(f"  {cells}  {row[4]}{remark}")
    repeated = sum(
        count - instances
        for (level, _), count in shown.items()
        if level in ("series", "instance") and count > instances
    )
    if repeated:
        lines.append(f"  ... and {repeated} more rows of further series and instances (--json shows all)")
    return [*lines, *_beside_rows(explanation)]


def _beside_rows(explanation: Explanation) -> Iterator[str]:
    yield from (f"  finding: {finding.place}: {finding.text}" for finding in explanation.findings)
    yield from (f"  instances differ: {of} {_differing_text(one)}" for of, one in explanation.differing)
    if explanation.silent:
        yield f"  rows without a value: {', '.join(row.target for row in explanation.silent)}"
    yield from (f"  no row reads {field.place}: {shown_value(field.value)}" for field in explanation.unread)
    if explanation.error:
        yield f"  PROBLEM: {explanation.error}"


def _differing_text(one: Disagreement) -> str:
    shown = " | ".join(map(shown_value, one.values[:MOST_VALUES]))
    more = len(one.values) - MOST_VALUES
    rest = f" | and {more} more" if more > 0 else ""
    return f"{one.rule.lead}: {shown}{rest}; rule {one.rule.rule} ({one.rule.origin or 'no row names it'})"


def shown_value(value: Any) -> str:
    """A value on one line, cut."""
    if value is None:
        return '"" (delete what is stored)'
    text = str(value) if not isinstance(value, (dict, list)) else _flat(value)
    short = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
    return short.replace("\r\n", " / ")


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(_flat(one) for one in value.values())
    if isinstance(value, list):
        return ", ".join(_flat(one) for one in value)
    return str(value)
