"""Made-up messages, sites and overlays for the tests of the mapping engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway import mapping
from gateway.mapping.language.trace import Trace
from gateway.mapping.orders.functions import Settings
from gateway.mapping.orders.reading import Statement
from gateway.mapping.orders.scope import Scope, Value
from gateway.mapping.studies.base import FhirSettings
from gateway.records.order import OrderedProcedure
from gateway.wire.hl7.parsing import parse
from gateway.wire.hl7.segment import Segment

SITE = Settings(ZoneInfo("Europe/Berlin"), "HOSPITAL", "North Hospital", "ris", ("CT1", "CT2"))
FHIR = FhirSettings(ZoneInfo("Europe/Berlin"), "HOSPITAL", {"HOSPITAL": "urn:oid:1.2.3"})
RECEIVED = 1_900_000_000_000_000
"""2030-03-17 17:46:40 UTC."""

MSH = "MSH|^~\\&|RIS|IMAGING|GATEWAY|IMAGING|20260115083000||ORM^O01|M1|P|2.3.1||||||UNICODE UTF-8"
PID = "PID|1||P1^^^HOSPITAL^MR||Doe^Jane||19800102|F"
ORC = "ORC|NW|PL1^RIS|FI1^RIS||SC||1^^^20260116090000^^S||20260115082900"
OBR = "OBR|1|PL1^RIS|FI1^RIS|CTCHEST^CT chest^L^CTP^Protocol^L||||||||||||||A1|RP1|SPS1||||CT"
ZDS = "ZDS|1.2.840.1^RIS^Application^DICOM"
ORM = (MSH, PID, ORC, OBR, ZDS)
"""An order as IHE RAD-4 has it."""


def order(control: str = "NW", number: str = "1") -> str:
    """An ORC with the order numbers PL<number> and FI<number>."""
    return f"ORC|{control}|PL{number}^RIS|FI{number}^RIS||SC||1^^^20260116090000||20260115082900"


def request(
    step: str = "", *, accession: str = "", procedure: str = "", code: str = "CTP", modality: str = "CT"
) -> str:
    """An OBR with OBR-18, -19 and -20."""
    return (
        f"OBR|1|||CTCHEST^CT chest^L^{code}^Protocol {code}^L||||||||||||||{accession}|{procedure}|{step}||||{modality}"
    )


def fields(name: str, **values: str) -> str:
    """A segment of the fields `f3="..."`, `f5="..."`."""
    numbered = {int(key[1:]): text for key, text in values.items()}
    return "|".join([name, *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def message(*segments: str) -> bytes:
    return "".join(f"{segment}\r" for segment in segments).encode()


def segment(text: str) -> Segment:
    """One segment of a message."""
    found = parse(message(*(() if text.startswith("MSH") else (MSH,)), text)).first(text[:3])
    assert found is not None
    return found


def scope(*segments: str, patient: tuple[str, ...] = (), settings: Settings = SITE) -> Scope:
    """The scope of an order group made of `segments`, beside a patient's."""

    def by_name(texts: tuple[str, ...]) -> dict[str, list[Segment]]:
        found: dict[str, list[Segment]] = {}
        for text in texts:
            found.setdefault(text[:3], []).append(segment(text))
        return found

    return Scope(by_name(segments), by_name(patient), settings, RECEIVED)


def field(written: str) -> Value:
    """A field as a function sees it: all repetitions."""
    return segment(f"ZZZ|{written}").repetitions(1)


def read(
    *segments: str,
    overlay: Path | None = None,
    settings: Settings = SITE,
    trace: list[Trace] | None = None,
) -> tuple[OrderedProcedure, ...]:
    """What the orders of a message come to."""
    orders = mapping.load(settings, FHIR, overlay).orders if overlay else SHIPPED.orders
    statements = orders.read(parse(message(*segments)), received_at=RECEIVED, settings=settings, trace=trace)
    return ordered(statements)


def ordered(statements: Iterable[Statement]) -> tuple[OrderedProcedure, ...]:
    """The procedures among what a message states."""
    return tuple(one for one in statements if isinstance(one, OrderedProcedure))


def only(*segments: str, overlay: Path | None = None, settings: Settings = SITE) -> OrderedProcedure:
    """The one procedure that a message orders."""
    (procedure,) = read(*segments, overlay=overlay, settings=settings)
    return procedure


def said(*segments: str, overlay: Path | None = None, settings: Settings = SITE) -> dict[str, Any]:
    """Everything that a message with one step says."""
    one = only(*segments, overlay=overlay, settings=settings)
    (step,) = one.steps
    return {**one.patient, **one.order, **one.procedure, **step.attributes}


def step_ids(procedure: OrderedProcedure) -> list[str]:
    return [step.attributes["ScheduledProcedureStepID"] for step in procedure.steps]


def protocols(procedure: OrderedProcedure, step: int = 0) -> list[str]:
    codes = procedure.steps[step].attributes["ScheduledProtocolCodeSequence"]
    return [code["CodeValue"] for code in codes]


def site(folder: Path, files: Mapping[str, str]) -> Path:
    """An overlay folder `mappings.d` that holds `files`."""
    overlay = folder / "mappings.d"
    for name, text in files.items():
        path = overlay / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    overlay.mkdir(exist_ok=True)
    return overlay


def orders(folder: Path, rows: str, **tables: str) -> Path:
    """An overlay of `order_to_worklist.yaml` with `rows`, and code tables."""
    return site(
        folder, {"order_to_worklist.yaml": rows} | {f"tables/{name}.csv": text for name, text in tables.items()}
    )


SHIPPED = mapping.load(SITE, FHIR)
