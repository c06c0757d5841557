#!/bin/sh
# gdcmconv of GDCM 3.0.21 (Debian's libgdcm-tools), and RLE Lossless of images in RGB with 16 bits a sample.
#
# Guess before the run: compressed by --rle and brought back by --raw, an image has the numbers that it had; RLE has no
# case in which it loses something.
# Seen: with 16 bits and three samples the numbers are others, without a word and with exit code 0: bytes of different
# samples are put together. What --rle writes is right (pydicom reads it as it was); reading goes wrong, whoever wrote the
# RLE. 8 bits in RGB and 16 bits in grey come back as they were.
# For whoever decodes with GDCM what a receiver takes only uncompressed, or compares decoders with it: a lossless syntax
# is no proof of equal pixels.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
case "$(gdcmconv --version 2> /dev/null)" in *"gdcm 3.0.21 "*) ;; *) echo "this is of gdcmconv 3.0.21: apt-get install libgdcm-tools"; exit 1 ;; esac
python3 -m venv environment
environment/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2 numpy
cat > round.py <<'PYTHON'
import subprocess
import sys

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

for name, kind, samples in (("RGB of 8 bits", np.uint8, 3), ("grey of 16 bits", np.uint16, 1), ("RGB of 16 bits", np.uint16, 3)):
    pixels = (np.arange(2 * 3 * samples) * (10 if kind == np.uint8 else 1000)).astype(kind)
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    image.SamplesPerPixel, image.PhotometricInterpretation = samples, "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        image.PlanarConfiguration = 0
    image.Rows, image.Columns, image.PixelRepresentation = 2, 3, 0
    image.BitsAllocated = image.BitsStored = pixels.itemsize * 8
    image.HighBit = image.BitsStored - 1
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OB" if kind == np.uint8 else "OW"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image.save_as("native.dcm", enforce_file_format=True)
    codes = [subprocess.run(["gdcmconv", *one], stderr=sys.stdout).returncode
             for one in (("--rle", "native.dcm", "rle.dcm"), ("--raw", "rle.dcm", "back.dcm"))]
    read, back = (pydicom.dcmread(file).pixel_array.ravel() for file in ("rle.dcm", "back.dcm"))
    print(f"{name}: exit {codes}, RLE as pydicom reads it {'equal' if np.array_equal(read, pixels) else 'different'},",
          "back equal" if np.array_equal(back, pixels) else f"back {back.tolist()[:6]} for {pixels.tolist()[:6]}")
PYTHON
environment/bin/python round.py | tee seen
diff - seen <<'EXPECTED'
RGB of 8 bits: exit [0, 0], RLE as pydicom reads it equal, back equal
grey of 16 bits: exit [0, 0], RLE as pydicom reads it equal, back equal
RGB of 16 bits: exit [0, 0], RLE as pydicom reads it equal, back [2024, 208, 768, 5024, 2952, 4024] for [0, 1000, 2000, 3000, 4000, 5000]
EXPECTED
