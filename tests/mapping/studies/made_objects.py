"""Data sets of every kind of object, made by a strategy: whole ones, and ones that lack or spoil an attribute."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from pydicom.valuerep import PersonName

from gateway.wire.dicomweb.dataset import tag_named, vr_of
from gateway.wire.dimse import Caller, StoreRequest

ROOT: Final = "1.2.826.0.1.3680043.8.498.77"
PRIVATE_CLASS: Final = "1.3.12.2.1107.5.9.1"
STUDIES: Final = 12
NUMBER: Final = 200 if os.environ.get("OBJECTS") == "all" else 80
STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
CALLER: Final = Caller("SCANNER", "GATEWAY", "127.0.0.1")


def put(dataset: Dataset, keyword: str, value: Any) -> None:
    """Set an attribute to any value, also to one that its VR does not allow."""
    tag = Tag(tag_named(keyword) or 0)
    vr = vr_of(tag)
    dataset[tag] = DataElement(tag, vr, PersonName(value) if vr == "PN" else value, already_converted=True)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def anatomy(side: str) -> Dataset:
    """An item of a functional group with the anatomy of a frame (PS3.3 C.7.6.16.2.8)."""
    frame, group = Dataset(), Dataset()
    frame.FrameLaterality = side
    frame.AnatomicRegionSequence = [code("72696002", "SCT", "Knee region structure")]
    group.FrameAnatomySequence = [frame]
    return group


def _image(made: Dataset) -> None:
    made.Rows = made.Columns = 4
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.PixelData = bytes(16)


def _breast(made: Dataset) -> None:
    _image(made)
    made.ImageLaterality, made.BodyPartExamined = "L", "BREAST"


def _frames(made: Dataset) -> None:
    _image(made)
    made.NumberOfFrames = 2
    made.SharedFunctionalGroupsSequence = [anatomy("R")]
    made.PerFrameFunctionalGroupsSequence = [Dataset(), Dataset()]
    made.PixelData = bytes(32)


def _two_sides(made: Dataset) -> None:
    _frames(made)
    made.SharedFunctionalGroupsSequence = [Dataset()]
    made.PerFrameFunctionalGroupsSequence = [anatomy("L"), anatomy("R")]


def _slide(made: Dataset) -> None:
    _frames(made)
    specimen = Dataset()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = "S1", f"{ROOT}.9"
    made.ContainerIdentifier, made.SpecimenDescriptionSequence = "C1", [specimen]
    made.TotalPixelMatrixColumns = made.TotalPixelMatrixRows = 8


def _waveform(made: Dataset) -> None:
    group = Dataset()
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples, group.WaveformBitsAllocated = 1, 4, 16
    group.WaveformData = bytes(8)
    made.WaveformSequence = [group]


def _document(made: Dataset) -> None:
    made.DocumentTitle, made.MIMETypeOfEncapsulatedDocument = "Discharge letter", "application/pdf"
    made.EncapsulatedDocument = b"%PDF-1.4 "


def _plan(made: Dataset) -> None:
    made.RTPlanLabel, made.RTPlanDate = "P1", "20260301"


def _report(made: Dataset) -> None:
    made.ConceptNameCodeSequence = [code("18748-4", "LN", "Diagnostic imaging report")]
    made.CompletionFlag, made.VerificationFlag, made.ValueType = "COMPLETE", "UNVERIFIED", "CONTAINER"


def _key_objects(made: Dataset) -> None:
    _report(made)
    made.ConceptNameCodeSequence = [code("113000", "DCM", "Of Interest")]


def _label_map(made: Dataset) -> None:
    _frames(made)
    made.SegmentationType, made.ContentLabel = "LABELMAP", "ORGANS"


KINDS: Final[dict[str, tuple[str, str, Callable[[Dataset], None]]]] = {
    "image": (f"{STORAGE}2", "CT", _image),
    "mammography": (f"{STORAGE}1.2", "MG", _breast),
    "enhanced multi-frame": (f"{STORAGE}4.1", "MR", _frames),
    "frames of both sides": (f"{STORAGE}2.1", "CT", _two_sides),
    "whole slide": (f"{STORAGE}77.1.6", "SM", _slide),
    "waveform": (f"{STORAGE}9.1.1", "ECG", _waveform),
    "document": (f"{STORAGE}104.1", "DOC", _document),
    "plan": (f"{STORAGE}481.5", "RTPLAN", _plan),
    "report": (f"{STORAGE}88.33", "SR", _report),
    "key objects": (f"{STORAGE}88.59", "KO", _key_objects),
    "label map": (f"{STORAGE}66.7", "SEG", _label_map),
    "private": (PRIVATE_CLASS, "OT", _image),
}
"""Kind -> SOP Class UID, Modality and what belongs to the kind. One series of a study holds one kind."""
SYNTAXES: Final = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
)  # fmt: skip
UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
SPOILED: Final = (
    *((name, None) for name in (*UIDS, "Modality", "SOPClassUID", "PatientID", "PatientName", "StudyDate")),
    *((name, "") for name in ("Modality", "SOPClassUID", "InstanceNumber", "StudyID", "AccessionNumber")),
    ("StudyDate", "20261399"), ("StudyTime", "noon"), ("InstanceNumber", "one"), ("SeriesNumber", "3.5"),
    ("Modality", "a modality that is no CS of PS3.5"), ("PatientName", "A=B=C=D"), ("TimezoneOffsetFromUTC", "CET"),
    ("ImageLaterality", "LEFT"), ("BodyPartExamined", "between the ears"), ("NumberOfFrames", "many"),
)  # fmt: skip
"""Attribute -> a value that it may not have; None: it is not there."""


@dataclass(frozen=True)
class MadeObject:
    """A data set, and what was done to it."""

    kind: str
    spoiled: str
    """The attribute that is missing or invalid; empty: none."""
    request: StoreRequest


@st.composite
def objects(draw: st.DrawFn, number: int = 0) -> MadeObject:
    """An object of any kind, of one of a few studies, in any transfer syntax, spoiled or not."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    study = draw(st.integers(1, STUDIES))
    uid = draw(st.integers(1, 10**6))
    syntax = draw(st.sampled_from(SYNTAXES))
    spoiled = draw(st.none() | st.sampled_from(SPOILED))
    sop_class, modality, complete = KINDS[kind]
    made = Dataset()
    series = f"{ROOT}.{study}.{sorted(KINDS).index(kind) + 1}"
    made.SOPClassUID, made.SOPInstanceUID = sop_class, f"{series}.{uid}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{ROOT}.{study}", series
    made.PatientID, made.PatientName, made.Modality = f"P{study}", f"NAME^{study}", modality
    made.StudyDate, made.StudyTime, made.StudyID, made.AccessionNumber = "20260301", "101500", "1", f"A{study}"
    made.SeriesNumber, made.InstanceNumber = 1, uid % 1000
    complete(made)
    if syntax == JPEGBaseline8Bit:
        if "PixelData" not in made:
            syntax = ExplicitVRLittleEndian
        else:
            made.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
            made["PixelData"].is_undefined_length = True
    announced = str(made.SOPInstanceUID)
    if spoiled is not None:
        if spoiled[1] is None:
            made.pop(Tag(tag_named(spoiled[0]) or 0), None)
        else:
            put(made, *spoiled)
    request = StoreRequest(CALLER, sop_class, announced, str(syntax), _encoded(made, str(syntax)))
    return MadeObject(kind, spoiled[0] if spoiled is not None else "", request)


def _encoded(dataset: Dataset, syntax: str) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax == ImplicitVRLittleEndian
    buffer.is_little_endian = syntax != ExplicitVRBigEndian
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OB"
    write_dataset(buffer, dataset)
    if syntax != DeflatedExplicitVRLittleEndian:
        return buffer.getvalue()
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflating.compress(buffer.getvalue()) + deflating.flush()


@cache
def made_objects() -> tuple[MadeObject, ...]:
    """`NUMBER` objects, each with an instance of its own; always the same ones."""
    made: dict[str, MadeObject] = {}

    @settings(
        max_examples=NUMBER * 2, derandomize=True, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(objects())
    def collect(one: MadeObject) -> None:
        made.setdefault(one.request.sop_instance_uid, one)

    collect()
    return tuple(made.values())[:NUMBER]
