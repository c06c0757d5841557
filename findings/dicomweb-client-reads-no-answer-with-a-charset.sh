#!/bin/sh
# The Python package dicomweb-client 0.61.2, and the answer to a Store whose Content-Type has a parameter, as in
# `application/dicom+json; charset=utf-8`, which frameworks write of their own.
#
# Guess before the run: the parameter plays no part (RFC 9110 8.3.1): the answer names the stored instance, and the one that
# failed.
# Seen: without the parameter both are named. With the parameter the data set that store_instances() returns is empty, without
# an error or a warning: the client compares the whole header field as text, and takes an answer that it does not know for one
# that states nothing. Its searches read the same Content-Type.
# For whoever serves STOW-RS: write no parameter there. For whoever uses the client: an answer without Referenced SOP Sequence is
# no success, and not to find Failed SOP Sequence shows nothing.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv environment
environment/bin/pip install --quiet --disable-pip-version-check dicomweb-client==0.61.2
cat > store.py <<'PYTHON'
import http.server
import json
import threading
import warnings

import pydicom
from dicomweb_client.api import DICOMwebClient

STORED = {"00081155": {"vr": "UI", "Value": ["1.2.3"]}}
FAILED = {"00081155": {"vr": "UI", "Value": ["1.2.4"]}, "00081197": {"vr": "US", "Value": [0xA700]}}
ANSWER = json.dumps({"00081199": {"vr": "SQ", "Value": [STORED]}, "00081198": {"vr": "SQ", "Value": [FAILED]}}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    content_type = ""

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", self.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(ANSWER)

    def do_GET(self):
        self.answer(b"[" + ANSWER + b"]")

    def log_message(self, *_arguments):
        pass


dataset = pydicom.Dataset()
dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.2.1"
dataset.file_meta = pydicom.dataset.FileMetaDataset()
dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = DICOMwebClient(f"http://127.0.0.1:{server.server_port}")
warnings.simplefilter("ignore", ResourceWarning)
for written in ("application/dicom+json", "application/dicom+json; charset=utf-8"):
    Handler.content_type = written
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        answer = client.store_instances([dataset])
    stored = [str(one.ReferencedSOPInstanceUID) for one in answer.get("ReferencedSOPSequence", [])]
    failed = [str(one.ReferencedSOPInstanceUID) for one in answer.get("FailedSOPSequence", [])]
    users = [one for one in warned if issubclass(one.category, UserWarning)]
    print(f"{written}: stored {stored}, failed {failed}, warnings {len(users)}, found {len(client.search_for_studies())}")
PYTHON
environment/bin/python store.py | tee seen
diff - seen <<'EXPECTED'
application/dicom+json: stored ['1.2.3'], failed ['1.2.4'], warnings 0, found 1
application/dicom+json; charset=utf-8: stored [], failed [], warnings 0, found 1
EXPECTED
