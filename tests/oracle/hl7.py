"""Messages of a history as bytes."""

from __future__ import annotations

from datetime import datetime

from tests.oracle.message import Group, Message
from tests.oracle.moments import ZONE


def hl7(message: Message, prefix: str, control_id: str) -> bytes:
    """The message in ER7. `prefix` stands before every identifier, so that histories do not meet in one database."""
    at = local(message.at)
    patient = _fields("PID", {1: "1", 3: f"{prefix}{message.patient}^^^HOSP", 5: f"{message.name}^X", 8: "F"})
    if message.type.startswith("ADT"):
        prior = [_fields("MRG", {1: f"{prefix}{message.prior}^^^HOSP"})] if message.prior else ["PV1|1|O"]
        body = [f"EVN|{message.event}|{at}", patient, *prior]
    elif message.type.startswith("SIU"):
        body = _appointment(message, patient, prefix)
    else:
        groups = (one for group in enumerate(message.groups, 1) for one in _order(*group, prefix, at))
        body = [patient, "PV1|1|O", *groups]
    version = "2.5.1" if message.type.startswith("SIU") else "2.3.1"
    head = f"MSH|^~\\&|RIS|HOSP|GATEWAY|HOSP|{at}||{message.type}|{control_id}|P|{version}"
    return ("\r".join([head, *body]) + "\r").encode()


def local(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%Y%m%d%H%M%S}"


def _order(number: int, group: Group, prefix: str, at: str) -> list[str]:
    def own(identifier: str) -> str:
        return identifier and prefix + identifier

    parent = f"{own(group.parent_placer)}^{own(group.parent_filler)}" if group.parent else ""
    timing = f"1^^^{group.start}^^R"
    common = {
        1: group.control, 2: own(group.placer), 3: own(group.filler), 5: group.status, 7: timing, 8: parent, 9: at,
    }  # fmt: skip
    request = {
        1: str(number), 2: own(group.placer), 3: own(group.filler), 4: "CTH^CT head^99RIS", 18: own(group.accession),
        19: own(group.procedure), 20: own(group.step), 24: "CT", 27: timing,
    }  # fmt: skip
    study = [f"ZDS|1.2.{prefix[1:-1]}.{group.study}^RIS^Application^DICOM"] if group.study else []
    return [_fields("ORC", common), _fields("OBR", request), *study]


def _appointment(message: Message, patient: str, prefix: str) -> list[str]:
    [group] = message.groups
    scheduled = {
        1: f"{prefix}V1", 11: f"1^^^{group.start}", 26: group.placer and prefix + group.placer,
        27: group.filler and prefix + group.filler,
    }  # fmt: skip
    service = f"AIS|1||CTH^CT head^99RIS|{group.start}"
    return [_fields("SCH", scheduled), patient, "PV1|1|O", "RGS|1", service]


def _fields(name: str, values: dict[int, str]) -> str:
    return "|".join([name, *(values.get(number, "") for number in range(1, max(values) + 1))])
