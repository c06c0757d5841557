"""Files that highdicom makes: segmentations of each kind, and secondary captures, in the syntaxes that it writes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from pydicom.sr.codedict import codes
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless, generate_uid

from tests.pixels.samples import sample

_SYNTAXES: Final = {
    "RLE": RLELossless, "JPEG 2000": JPEG2000Lossless, "JPEG-LS": JPEGLSLossless, "JPEG": JPEGBaseline8Bit,
}  # fmt: skip
_MAKER: Final[dict[str, Any]] = {"manufacturer": "Example", "series_number": 1, "instance_number": 1}


def highdicom_files(work: Path) -> Iterator[Path]:
    """In `work`; what highdicom does not write is not there."""
    hd = import_module("highdicom")
    source = pydicom.dcmread(sample("CT_small.dcm"))
    grey = (source.pixel_array - source.pixel_array.min() >> 4).astype(np.uint8)
    colour = np.stack([grey, grey[::-1], grey[:, ::-1]], axis=-1)
    segments = np.stack([grey > 100, grey < 30], axis=-1)[np.newaxis].astype(np.uint8)
    shares = (segments[..., :1] * grey[np.newaxis, ..., np.newaxis] / 255).astype(np.float32)
    captures = {"MONOCHROME2": grey, "RGB": colour, "YBR_FULL_422": colour, "YBR_RCT": colour}
    described = [
        hd.seg.SegmentDescription(
            number, f"Segment {number}", codes.SCT.Organ, codes.SCT.Liver, hd.seg.SegmentAlgorithmTypeValues.MANUAL
        )
        for number in (1, 2)
    ]
    for label, syntax in _SYNTAXES.items():
        for photometric, pixels in captures.items():
            yield from _written(
                work, f"highdicom SC {photometric} {label}", hd.sc.SCImage.from_ref_dataset, ref_dataset=source,
                pixel_array=pixels, photometric_interpretation=photometric, bits_allocated=8,
                coordinate_system="PATIENT", patient_orientation=("L", "P"), transfer_syntax_uid=syntax,
            )  # fmt: skip
        for kind, values, number in (("BINARY", segments, 2), ("LABELMAP", segments, 2), ("FRACTIONAL", shares, 1)):
            yield from _written(
                work, f"highdicom SEG {kind} {label}", hd.seg.Segmentation, source_images=[source], pixel_array=values,
                segmentation_type=kind, segment_descriptions=described[:number], manufacturer_model_name="Example",
                software_versions="1", device_serial_number="1", transfer_syntax_uid=syntax,
            )  # fmt: skip


def _written(work: Path, name: str, make: Any, **values: Any) -> Iterator[Path]:
    target = work / f"{name}.dcm"
    uids = {"series_instance_uid": generate_uid(), "sop_instance_uid": generate_uid()}
    try:
        make(**values, **uids, **_MAKER).save_as(target)
    except Exception:  # of what it does not write, of several kinds
        target.unlink(missing_ok=True)
        return
    yield target
