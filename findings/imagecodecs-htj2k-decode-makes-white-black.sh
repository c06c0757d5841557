#!/bin/sh
# htj2k_decode of imagecodecs 2026.3.6 (OpenJPH 0.26.3), and High-Throughput JPEG 2000 with loss, as in the DICOM transfer
# syntax 1.2.840.10008.1.2.4.203.
#
# Guess before the run: a decoder cuts off what the loss takes beyond the range of the samples: 255 at most of 8 bits.
# Seen: what goes beyond becomes one more than the highest value, which of 8 and 16 bits is 0 in its container: white next
# to an edge is black, without an error. (Of 12 bits, written by OpenJPH's own program, it is 4096, outside of Bits Stored.)
# OpenJPEG, in the same package (jpeg2k_decode reads HTJ2K too), gives the highest value. Streams without loss come back as
# they were from both.
# For whoever decodes this transfer syntax with Python: take jpeg2k_decode for what has lost something.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv environment
environment/bin/pip install --quiet --disable-pip-version-check imagecodecs==2026.3.6
cat > square.py <<'PYTHON'
import imagecodecs
import numpy as np

for kind in (np.uint8, np.uint16):
    pixels = np.zeros((64, 64), kind)
    pixels[20:40, 20:40] = np.iinfo(kind).max
    for name, reversible in (("without loss", True), ("with loss", False)):
        stream = imagecodecs.htj2k_encode(pixels, reversible=reversible, level=None if reversible else 0.01)
        seen = []
        for decode in (imagecodecs.htj2k_decode, imagecodecs.jpeg2k_decode):
            white = decode(stream)[20:40, 20:40]
            seen.append(f"{decode.__name__.split('.')[-1]} {white.min()} to {white.max()}")
        print(f"{np.dtype(kind)} {name}: white is", ", ".join(seen))
PYTHON
environment/bin/python square.py | tee seen
diff - seen <<'EXPECTED'
uint8 without loss: white is htj2k_decode 255 to 255, jpeg2k_decode 255 to 255
uint8 with loss: white is htj2k_decode 0 to 255, jpeg2k_decode 253 to 255
uint16 without loss: white is htj2k_decode 65535 to 65535, jpeg2k_decode 65535 to 65535
uint16 with loss: white is htj2k_decode 0 to 65535, jpeg2k_decode 65029 to 65535
EXPECTED
