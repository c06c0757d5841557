"""Made-up examinations: small DICOM studies of the items of a worklist.

CT, MR, US and CR become images of their own IODs (PS3.3 A.3, A.4, A.6, A.2); every other modality becomes
Secondary Capture (PS3.3 A.8), whose IOD allows any. The same item gives the same UIDs: a study can grow.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

_NAMESPACE = uuid.UUID("b1f8d5ce-0f0b-5d6c-8a4e-5c2f3a9d7e10")
_SIDE = 16
"""Rows and columns of an image, in pixels."""
_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_STUDY = ("StudyInstanceUID", "AccessionNumber", "ReferringPhysicianName")
_REQUEST = ("RequestedProcedureID", "RequestedProcedureDescription", "AccessionNumber", "StudyInstanceUID")
_STEP = ("ScheduledProcedureStepID", "ScheduledProcedureStepDescription")


def perform(item: Dataset, *, series: int = 2, instances: int = 3) -> list[Dataset]:
    """The study that a modality would make of a worklist item, punctually: `series` with `instances` each.

    item: a Modality Worklist response (PS3.4 K.6.1.2.2). Patient and study attributes are taken over from it,
    those of the order also into the Request Attributes Sequence (PS3.3 10.6). The data sets carry File Meta
    Information and can be written as files.
    """
    step = item.ScheduledProcedureStepSequence[0]
    modality = str(step.Modality)
    sop_class, describe = _IMAGES.get(modality, (SecondaryCaptureImageStorage, _secondary_capture))
    begun = _start_of(step)
    study = _study_level(item, begun)
    made = []
    for series_number in range(1, series + 1):
        for instance_number in range(1, instances + 1):
            dataset = copy.deepcopy(study)
            _series_level(dataset, item, step, series_number, begun + timedelta(minutes=series_number))
            _image_level(dataset, sop_class, series_number, instance_number)
            describe(dataset, instance_number)
            made.append(dataset)
    return made


def _study_level(item: Dataset, begun: datetime) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (*_PATIENT, *_STUDY):
        setattr(dataset, keyword, _text(item, keyword))
    dataset.StudyDate, dataset.StudyTime = f"{begun:%Y%m%d}", f"{begun:%H%M%S}"
    dataset.StudyID = _text(item, "RequestedProcedureID")
    dataset.StudyDescription = _text(item, "RequestedProcedureDescription")
    dataset.Manufacturer = "Simulated"
    dataset.ManufacturerModelName = "Modality simulator"
    return dataset


def _series_level(dataset: Dataset, item: Dataset, step: Dataset, number: int, begun: datetime) -> None:
    dataset.Modality = str(step.Modality)
    dataset.SeriesInstanceUID = _uid(dataset.StudyInstanceUID, number)
    dataset.SeriesNumber = number
    dataset.SeriesDate, dataset.SeriesTime = f"{begun:%Y%m%d}", f"{begun:%H%M%S}"
    dataset.SeriesDescription = f"{_text(step, 'ScheduledProcedureStepDescription')} {number}".strip()[:64]
    dataset.StationName = "SIMULATOR"
    dataset.RequestAttributesSequence = [_request_attributes(item, step)]


def _request_attributes(item: Dataset, step: Dataset) -> Dataset:
    request = Dataset()
    for source, keywords in ((item, _REQUEST), (step, _STEP)):
        for keyword in keywords:
            if value := _text(source, keyword):
                setattr(request, keyword, value)
    return request


def _image_level(dataset: Dataset, sop_class: UID, series_number: int, instance_number: int) -> None:
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = _uid(dataset.StudyInstanceUID, series_number, instance_number)
    dataset.InstanceNumber = instance_number
    dataset.ContentDate, dataset.ContentTime = dataset.SeriesDate, dataset.SeriesTime
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PatientOrientation = ""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = _SIDE
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.PixelData = bytes((row * column + instance_number) % 256 for row in range(16) for column in range(16))
    dataset["PixelData"].VR = "OB"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta


def _sixteen_bits(dataset: Dataset) -> None:
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = b"".join(value.to_bytes(2, "little") for value in dataset.PixelData)
    dataset["PixelData"].VR = "OW"


def _plane(dataset: Dataset, number: int) -> None:
    """Frame of Reference and Image Plane (PS3.3 C.7.4.1, C.7.6.2): axial slices, 5 mm apart."""
    dataset.FrameOfReferenceUID = _uid(dataset.StudyInstanceUID, 0)
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = "HFS"
    dataset.PixelSpacing = [1.0, 1.0]
    dataset.SliceThickness = 5.0
    dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    dataset.ImagePositionPatient = [0.0, 0.0, 5.0 * (number - 1)]


def _ct(dataset: Dataset, number: int) -> None:
    _sixteen_bits(dataset)
    _plane(dataset, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
    dataset.KVP = 120
    dataset.AcquisitionNumber = 1


def _mr(dataset: Dataset, number: int) -> None:
    _sixteen_bits(dataset)
    _plane(dataset, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanningSequence, dataset.SequenceVariant = "SE", "NONE"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime, dataset.EchoTime, dataset.EchoTrainLength = 500, 15, 1


def _us(dataset: Dataset, number: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL"]


def _cr(dataset: Dataset, number: int) -> None:
    _sixteen_bits(dataset)
    dataset.BodyPartExamined = "HAND"
    dataset.ViewPosition = "PA"


def _secondary_capture(dataset: Dataset, number: int) -> None:
    dataset.ConversionType = "SYN"


_IMAGES: dict[str, tuple[UID, Callable[[Dataset, int], None]]] = {
    "CT": (CTImageStorage, _ct),
    "MR": (MRImageStorage, _mr),
    "US": (UltrasoundImageStorage, _us),
    "CR": (ComputedRadiographyImageStorage, _cr),
}


def _start_of(step: Dataset) -> datetime:
    """Scheduled start; TM may leave out minutes and seconds (PS3.5 6.2)."""
    time = _text(step, "ScheduledProcedureStepStartTime").split(".")[0].ljust(6, "0")
    return datetime.strptime(_text(step, "ScheduledProcedureStepStartDate") + time, "%Y%m%d%H%M%S")  # noqa: DTZ007


def _text(dataset: Dataset, keyword: str) -> str:
    value: Any = dataset.get(keyword)
    return "" if value is None else str(value)


def _uid(study_uid: str, *numbers: int) -> str:
    """Below 2.25 (PS3.5 B.2), the same for the same study and numbers."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, (study_uid, *numbers)))).int}"
