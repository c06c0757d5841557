"""Objects that highdicom makes of an image of pydicom, where highdicom is installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import pydicom
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from gateway.wire.dimse import Caller, StoreRequest

ENTITIES: Final = ("ko", "legacy", "pm", "pr", "sc", "seg", "sr")


def requests(caller: Caller) -> Iterator[StoreRequest]:
    """One object of each of `ENTITIES`, in the study of the image that it is of; none without highdicom."""
    if find_spec("highdicom") is None:
        return
    for entity in ENTITIES:
        import_module(f"highdicom.{entity}")
    made = _Made(import_module("highdicom"), import_module("numpy"))
    for entity in ENTITIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = getattr(made, entity)()
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = False, True
        write_dataset(buffer, dataset)
        yield StoreRequest(
            caller,
            str(dataset.SOPClassUID),
            str(dataset.SOPInstanceUID),
            str(ExplicitVRLittleEndian),
            buffer.getvalue(),
        )


class _Made:
    """Each method makes the object of the highdicom package of its name."""

    def __init__(self, hd: Any, np: Any) -> None:
        self._hd, self._np = hd, np
        self._ct = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
        self._maker = ("ACME", "Model 1", "1.0", "77")

    def _uids(self, name: str, number: int) -> tuple[str, int, str, int]:
        """Series Instance UID, Series Number, SOP Instance UID, Instance Number."""
        return generate_uid(entropy_srcs=["series", name]), number, generate_uid(entropy_srcs=["instance", name]), 1

    def seg(self) -> Any:
        seg = self._hd.seg
        algorithm = self._hd.AlgorithmIdentificationSequence(
            name="A", version="1", family=codes.cid7162.ArtificialIntelligence
        )
        segment = seg.SegmentDescription(
            1, "lung", codes.cid7150.AnatomicalStructure, codes.SCT.Lung, seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm, anatomic_regions=[codes.SCT.Lung],
        )  # fmt: skip
        mask = self._np.ones((1, self._ct.Rows, self._ct.Columns), bool)
        kind = seg.SegmentationTypeValues.BINARY
        return seg.Segmentation([self._ct], mask, kind, [segment], *self._uids("seg", 2), *self._maker)

    def legacy(self) -> Any:
        return self._hd.legacy.LegacyConvertedEnhancedCTImage([self._ct], *self._uids("legacy", 3))

    def sc(self) -> Any:
        pixels = self._np.zeros((8, 8), self._np.uint8)
        return self._hd.sc.SCImage.from_ref_dataset(
            self._ct, pixels, "MONOCHROME2", 8, "PATIENT", *self._uids("sc", 4), "ACME",
            laterality="L", patient_orientation=("L", "P"),
        )  # fmt: skip

    def pr(self) -> Any:
        kind = self._hd.pr.GrayscaleSoftcopyPresentationState
        return kind([self._ct], *self._uids("pr", 5), *self._maker, "LABEL")

    def ko(self) -> Any:
        ko = self._hd.ko
        selection = ko.KeyObjectSelection(codes.cid7010.OfInterest, referenced_objects=[self._ct])
        return ko.KeyObjectSelectionDocument([self._ct], selection, *self._uids("ko", 6), "ACME")

    def pm(self) -> Any:
        values = self._hd.pm.RealWorldValueMapping("1", "map", codes.UCUM.NoUnits, (0, 255), slope=1, intercept=0)
        pixels = self._np.ones((1, self._ct.Rows, self._ct.Columns, 1), self._np.uint8)
        return self._hd.pm.ParametricMap(
            [self._ct], pixels, *self._uids("pm", 7), *self._maker, False, [[values]], 255, 1
        )

    def sr(self) -> Any:
        sr = self._hd.sr
        person = sr.PersonObserverIdentifyingAttributes(name="Foo^Bar")
        observer = sr.ObserverContext(codes.DCM.Person, person)
        circle = sr.ImageRegion(
            sr.GraphicTypeValues.CIRCLE, self._np.array([[10.0, 10.0], [12.0, 10.0]]),
            sr.SourceImageForRegion(self._ct.SOPClassUID, self._ct.SOPInstanceUID),
        )  # fmt: skip
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            sr.TrackingIdentifier(uid=generate_uid(entropy_srcs=["track"]), identifier="a"), circle,
            finding_type=codes.SCT.Lung, finding_sites=[sr.FindingSite(codes.SCT.Lung)],
        )  # fmt: skip
        context = sr.ObservationContext(observer_person_context=observer)
        report = sr.MeasurementReport(context, codes.LN.CTUnspecifiedBodyRegion, imaging_measurements=[group])
        return sr.Comprehensive3DSR([self._ct], report[0], *self._uids("sr", 8), "ACME", is_complete=True)
