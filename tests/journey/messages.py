"""HL7 messages of made-up people, for tests."""

from __future__ import annotations

import re
from collections.abc import Iterable


def orm(
    *,
    control: str = "NW",
    status: str = "SC",
    control_id: str = "MSG1",
    patient: str = "PAT1^^^HOSP",
    name: str = "MUSTER^MAX",
    placer: str = "P1",
    filler: str = "F1",
    accession: str = "ACC1",
    procedure: str = "RP1",
    step: str = "SPS1",
    modality: str = "CT",
    start: str = "20301124093000",
    at: str = "20260123120000",
    study_uid: str = "1.2.3.4.5",
    charset: str = "",
    more: Iterable[str] = (),
) -> bytes:
    """One ORM^O01 of one step, IHE style. Every argument is a field; `more` are segments after the ZDS."""
    segments = [
        f"MSH|^~\\&|RIS|HOSP|GATEWAY|HOSP|{at}||ORM^O01|{control_id}|P|2.3.1||||||{charset}",
        f"PID|1||{patient}||{name}||19800102|M",
        "PV1|1|O|||||^REFERRER^RITA",
        f"ORC|{control}|{placer}|{filler}||{status}||1^^^{start}^^R||{at}",
        f"OBR|1|{placer}|{filler}|CTH^CT head^99RIS||||||||||||^REQUESTER^RUTH||{accession}|{procedure}|{step}"
        f"||||{modality}|||1^^^{start}^^R",
        *([f"ZDS|{study_uid}^RIS^Application^DICOM"] if study_uid else []),
        *more,
    ]
    return ("\r".join(segments) + "\r").encode(charset_codec(charset))


def adt(
    trigger: str,
    *,
    control_id: str = "ADT1",
    patient: str = "PAT1^^^HOSP",
    name: str = "MUSTER^MAX",
    birth: str = "19800102",
    at: str = "20260123120000",
    prior: str = "",
    visit: str = "PV1|1|O|||||^REFERRER^RITA",
    more: Iterable[str] = (),
) -> bytes:
    """One ADT message; `prior` is MRG-1."""
    segments = [
        f"MSH|^~\\&|ADT|HOSP|GATEWAY|HOSP|{at}||ADT^{trigger}|{control_id}|P|2.3.1",
        f"EVN|{trigger}|{at}",
        f"PID|1||{patient}||{name}||{birth}|M",
        *([f"MRG|{prior}"] if prior else []),
        *([visit] if visit and not prior else []),
        *more,
    ]
    return ("\r".join(segments) + "\r").encode()


def charset_codec(charset: str) -> str:
    return {
        "": "utf-8",
        "8859/1": "latin-1",
        "8859/2": "iso8859-2",
        "UNICODE UTF-8": "utf-8",
        "~ISO IR87": "iso2022_jp",
        "GB 18030-2000": "gb18030",
    }[charset]


_NUMBERS = re.compile(
    rb"\b((?:P|F|ACC|RP)[123]|MSG[12]|ADT1|OLDER|OLD|NEW|OTHER|PAT[12]|1\.2\.(?:3\.4\.5|7|8|9))(?=\b|\^)"
)


def apart(message: bytes, number: int) -> bytes:
    """The message with control id, numbers and patients of its own, such as `ACC1X7`: cases do not meet."""
    return _NUMBERS.sub(lambda found: found[1] + (b".%d" if found[1].startswith(b"1.") else b"X%d") % number, message)
