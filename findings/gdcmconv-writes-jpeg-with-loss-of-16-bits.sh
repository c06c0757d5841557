#!/bin/sh
# gdcmconv of GDCM 3.0.21 (Debian's libgdcm-tools), asked for JPEG with loss (--jpeg --lossy) of images with more than 12
# bits a sample.
#
# Guess before the run: refused, since the processes of JPEG with loss have 8 or 12 bits (ISO/IEC 10918-1 B.2.2, Table
# B.2), or brought down to 12 bits, as DCMTK's dcmcjpeg +ee does.
# Seen: exit code 0, and a file in JPEG Extended (1.2.840.10008.1.2.4.51) whose stream states 16 bits, also of an image
# whose Bits Stored are 12 in 16. GDCM reads it; DCMTK 3.6.7 and libjpeg-turbo 3 (imagecodecs) do not. Bits Stored 8 in 8
# is fine.
# For whoever compresses with GDCM: files that only GDCM reads. For whoever receives: they are kept, and cannot be decoded.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
case "$(gdcmconv --version 2> /dev/null)" in *"gdcm 3.0.21 "*) ;; *) echo "this is of gdcmconv 3.0.21: apt-get install libgdcm-tools"; exit 1 ;; esac
case "$(dcmdjpeg --version 2> /dev/null)" in *"v3.6.7 "*) ;; *) echo "this is of DCMTK 3.6.7: apt-get install dcmtk"; exit 1 ;; esac
python3 -m venv environment
environment/bin/pip install --quiet --disable-pip-version-check pydicom==3.0.2 numpy imagecodecs==2026.3.6
cat > lossy.py <<'PYTHON'
import subprocess

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames

for allocated, stored in ((8, 8), (16, 12), (16, 16)):
    pixels = (np.arange(64 * 64) % (1 << stored)).astype(f"u{allocated // 8}")
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows = image.Columns = 64
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = allocated, stored, stored - 1, 0
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OB" if allocated == 8 else "OW"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image.save_as("native.dcm", enforce_file_format=True)
    code = subprocess.run(["gdcmconv", "--jpeg", "--lossy", "-q", "90", "native.dcm", "jpeg.dcm"], capture_output=True).returncode
    jpeg = pydicom.dcmread("jpeg.dcm")
    frame = next(generate_frames(jpeg.PixelData, number_of_frames=1))
    marker = next(at for at in range(len(frame)) if frame[at] == 0xFF and frame[at + 1] in (0xC0, 0xC1))
    readers = [name for name, command in (("GDCM", ["gdcmconv", "--raw"]), ("DCMTK", ["dcmdjpeg"]))
               if subprocess.run([*command, "jpeg.dcm", "back.dcm"], capture_output=True).returncode == 0]
    try:
        imagecodecs.jpeg8_decode(frame)
        readers.append("libjpeg-turbo")
    except Exception:
        pass
    print(f"{stored} in {allocated}: exit {code}, {jpeg.file_meta.TransferSyntaxUID[-5:]}, {frame[marker + 4]} bits in the stream,",
          "read by", ", ".join(readers))
PYTHON
environment/bin/python lossy.py 2> /dev/null | tee seen
diff - seen <<'EXPECTED'
8 in 8: exit 0, .4.50, 8 bits in the stream, read by GDCM, DCMTK, libjpeg-turbo
12 in 16: exit 0, .4.51, 16 bits in the stream, read by GDCM
16 in 16: exit 0, .4.51, 16 bits in the stream, read by GDCM
EXPECTED
