"""Previews of instances, and the contact sheet of a study: so that a person can see what arrived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from sqlalchemy import Connection

from gateway.errors import UnknownKey
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.pixel_file import PixelFile
from gateway.store import Store, pictures, pixel_files, studies

MOST_SERIES: Final = 60
MOST_TILES: Final = 120
MOST_OF_A_PATIENT: Final = 8
"""Tiles of a series, spread evenly over the instances of a patient in it."""
NOT_KEPT: Final = "pixels are not kept here: studies.storage is headers"
NEVER_CAME: Final = "it came without pixels, or before they were kept"
REMOVED: Final = "its file was deleted when nobody needed it any more"
MISSING: Final = "its file is lost: it was looked for and was not there"
NO_IMAGE: Final = "no image"
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
WITHOUT_IMAGE: Final = tuple(
    _STORAGE + end
    for end in (
        *("9.", "11.", "88.", "104."),
        *(f"66.{one}." for one in (1, 2, 3, 5)),
        *(f"481.{one}." for one in (3, 4, 5, 6, 7, 8, 9)),
    )
)
"""Waveforms, presentation states, registrations, reports, documents, and plans and structures of radiotherapy."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Handed in by the assembly."""

    why_not: str = ""
    """Why there is no preview of any instance; empty: there are previews."""
    path_of: Callable[[str], Path] = Path
    """The path of a file by its name in the spool."""
    preview: Callable[[Path], Awaitable[bytes]] | None = None
    """A JPEG of a file."""


NO_PICTURES: Final = Pictures(NOT_KEPT)


class Picture(NamedTuple):
    """A preview, and whose it is."""

    jpeg: bytes
    patient_id: str


async def picture(store: Store, of: Pictures, study_uid: str, series_uid: str, sop_uid: str) -> Picture:
    """The preview of an instance; raises `UnknownKey` with the reason where there is none, and `PixelFault`."""
    if of.preview is None:
        raise UnknownKey(of.why_not, place="instance")
    patient_id, file = await store.read(partial(_file, study_uid=study_uid, series_uid=series_uid, sop_uid=sop_uid))
    try:
        return Picture(await of.preview(of.path_of(file.file)), patient_id)
    except FileNotFoundError as error:
        raise UnknownKey(MISSING, place="instance") from error


def _file(connection: Connection, study_uid: str, series_uid: str, sop_uid: str) -> tuple[str, PixelFile]:
    row = pictures.instance_of(connection, study_uid, series_uid, sop_uid)
    if row is None:
        raise UnknownKey("no such instance of this study has arrived", place="instance")
    file = pixel_files.of_instance(connection, row["id"])
    if file is None or not file.is_kept:
        held = None if file is None else pictures.Held(file.removed_at, file.missing_at)
        raise UnknownKey(_absence(held), place="instance")
    return str(row["attributes"].get("PatientID") or row["patient_id"] or ""), file


def _absence(held: pictures.Held | None) -> str:
    if held is None:
        return NEVER_CAME
    return MISSING if held.missing_at is not None else REMOVED if held.removed_at is not None else ""


@dataclass(frozen=True, slots=True)
class Tile:
    """An instance on the sheet."""

    sop_uid: str
    number: str
    """Instance Number."""
    patient_id: str
    is_another: bool
    """Of another patient than the study."""
    address: str
    """Path of its preview; empty: there is none."""
    reason: str
    """Why there is none."""


@dataclass(frozen=True, slots=True)
class SheetSeries:
    """A series on the sheet."""

    series_uid: str
    attributes: dict[str, Any]
    instances: int
    tiles: list[Tile]


@dataclass(frozen=True, slots=True)
class ContactSheet:
    """Instances of each series, those of each patient among them."""

    study_uid: str
    patient_id: str
    why_not: str
    series: list[SheetSeries]
    more_series: int
    """Beyond those that are shown."""


def contact_sheet(connection: Connection, study_uid: StudyInstanceUID, of: Pictures) -> ContactSheet:
    """The sheet of a study; raises `UnknownKey`."""
    study = studies.get(connection, study_uid)
    if study is None:
        raise UnknownKey("no instance of this study has arrived", place="uid")
    patient_id = study["patient_id"] or ""
    if of.why_not:
        return ContactSheet(study_uid, patient_id, of.why_not, [], 0)
    shown: list[SheetSeries] = []
    left, more = MOST_TILES, 0
    for row, instances in studies.tree(connection, study["id"]):
        if len(shown) == MOST_SERIES or left <= 0:
            more += 1
            continue
        chosen = _chosen(instances, patient_id)[:left]
        left -= len(chosen)
        held = pictures.held(connection, row["id"], [one["sop_uid"] for one in chosen])
        tiles = [_tile(study_uid, row["series_uid"], one, patient_id, held.get(one["sop_uid"])) for one in chosen]
        shown.append(SheetSeries(row["series_uid"], dict(row["attributes"]), len(instances), tiles))
    return ContactSheet(study_uid, patient_id, "", shown, more)


def _chosen(instances: list[Any], patient_id: str) -> list[Any]:
    """Evenly spread by number, of each patient for itself: not the first of a thousand that are alike."""
    by_patient: dict[str, list[Any]] = {}
    for one in sorted(instances, key=_place):
        by_patient.setdefault(one["attributes"].get("PatientID", patient_id), []).append(one)
    chosen = []
    for of_patient in by_patient.values():
        count = min(MOST_OF_A_PATIENT, len(of_patient))
        last = len(of_patient) - 1
        chosen += [of_patient[round(last * place / max(1, count - 1))] for place in range(count)]
    return chosen


def _place(instance: Any) -> tuple[int, str]:
    number = str(instance["attributes"].get("InstanceNumber", ""))
    return (int(number) if number.lstrip("-").isdigit() else 0), instance["sop_uid"]


def _tile(study_uid: str, series_uid: str, row: Any, patient_id: str, held: pictures.Held | None) -> Tile:
    attributes, uid = row["attributes"], row["sop_uid"]
    of = str(attributes.get("PatientID", patient_id))
    reason = NO_IMAGE if f"{row['sop_class_uid']}.".startswith(WITHOUT_IMAGE) else _absence(held)
    path = "/".join(quote(one, safe="") for one in (study_uid, "series", series_uid, "instances", uid))
    address = "" if reason else f"/api/studies/{path}/preview.jpg"
    return Tile(uid, str(attributes.get("InstanceNumber", "")), of, of != patient_id, address, reason)
