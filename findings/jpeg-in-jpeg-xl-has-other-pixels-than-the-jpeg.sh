#!/bin/sh
# libjxl 0.11.2 (imagecodecs 2026.3.6), and a JPEG that was recompressed to JPEG XL without loss, as in the DICOM transfer
# syntax 1.2.840.10008.1.2.4.111 (JPEG XL JPEG Recompression), which keeps the SOP Instance UID.
#
# Guess before the run: the way back gives the JPEG bit for bit, and its pixels, decoded of the JPEG XL, are those of
# libjpeg-turbo but for a level here and there, by rounding.
# Seen: the JPEG comes back bit for bit; of an ultrasound image with subsampled chroma every fifth sample is another, every
# hundredth by more than one level, some by 11 of 255. Two receivers of one instance, both right, have different pixels.
# For whoever decodes this transfer syntax: make the JPEG again, then decode that, and it is the image that it was.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv environment
environment/bin/pip install --quiet --disable-pip-version-check imagecodecs==2026.3.6 pydicom==3.0.2
cat > pixels.py <<'PYTHON'
import imagecodecs
import numpy as np
import pydicom
from pydicom.data import get_testdata_file

image = pydicom.dcmread(get_testdata_file("examples_ybr_color.dcm", download=False))
print(image.file_meta.TransferSyntaxUID.name, image.PhotometricInterpretation)
jpeg = bytes(next(pydicom.encaps.generate_frames(image.PixelData, number_of_frames=30)))
jpeg_xl = imagecodecs.jpegxl_encode_jpeg(jpeg)
again = imagecodecs.jpegxl_decode_jpeg(jpeg_xl)
print("the same JPEG:", bytes(again) == jpeg)
of_jpeg = imagecodecs.jpeg8_decode(jpeg, colorspace="YCBCR", outcolorspace="RGB").astype(int)
of_jpeg_xl = imagecodecs.jpegxl_decode(jpeg_xl).astype(int)
apart = np.abs(of_jpeg - of_jpeg_xl)
print(f"levels apart: at most {apart.max()}, in {(apart > 0).mean():.0%} of the samples, more than one in {(apart > 1).mean():.0%}")
PYTHON
environment/bin/python pixels.py | tee seen
diff - seen <<'EXPECTED'
JPEG Baseline (Process 1) YBR_FULL_422
the same JPEG: True
levels apart: at most 11, in 18% of the samples, more than one in 1%
EXPECTED
