#!/bin/sh
# The DICOMweb plugin 1.7 of Orthanc 1.10.1 (Debian 12) as client of STOW-RS, and the boundary of its request.
#
# Guess before the run: a boundary of at most 70 characters, which RFC 2046 5.1.1 allows.
# Seen: 73 characters: two UUIDs with a hyphen between them. A server that keeps to RFC 2046 refuses every Store of the plugin.
# For whoever reads multipart bodies: take longer boundaries than the standard does, within a bound of your own.
# Needs: apt-get install -y orthanc orthanc-dicomweb dcmtk curl
set -eu

work=$(mktemp -d)
orthanc='' server=''
trap 'kill -9 $orthanc $server 2>/dev/null || :; rm -rf "$work"' EXIT
cd "$work"
port=18044
cat > orthanc.json <<JSON
{"StorageDirectory": "$work", "IndexDirectory": "$work", "HttpPort": $port, "DicomPort": 18045, "RemoteAccessAllowed": false,
 "AuthenticationEnabled": false, "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"]}
JSON
PATH="$PATH:/usr/sbin" Orthanc orthanc.json > log 2>&1 &
orthanc=$!
until curl -sf "http://127.0.0.1:$port/system" > /dev/null; do sleep 0.2; done

cat > server.py <<'PYTHON'
import email.message
import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        while size := int(self.rfile.readline(), 16) if "Content-Length" not in self.headers else 0:
            self.rfile.read(size + 2)
        self.rfile.read(int(self.headers.get("Content-Length", 2)))
        message = email.message.Message()
        message["Content-Type"] = self.headers["Content-Type"]
        boundary = message.get_boundary()
        with open("seen", "w") as seen:
            print(f"{message.get_content_type()}, boundary of {len(boundary)} characters, {boundary.count('-')} hyphens", file=seen)
        answer = b'{"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3.4.5.6"]}}]}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
python3 server.py > served &
server=$!
until [ -s served ]; do sleep 0.1; done

cat > made.dump <<'DUMP'
(0008,0016) UI 1.2.840.10008.5.1.4.1.1.7
(0008,0018) UI 1.2.3.4.5.6
(0010,0020) LO 4711
(0020,000d) UI 1.2.3.4
(0020,000e) UI 1.2.3.4.5
DUMP
dump2dcm +te made.dump made.dcm
base="http://127.0.0.1:$port"
curl -sf -o posted --data-binary @made.dcm "$base/instances"
curl -sf -o put -X PUT -d "{\"Url\": \"http://127.0.0.1:$(cat served)\", \"HasDelete\": false}" "$base/dicom-web/servers/peer"
curl -sf -o report -d "{\"Resources\": $(curl -sf "$base/studies"), \"Synchronous\": true}" "$base/dicom-web/servers/peer/stow"
cat seen
diff - seen <<'EXPECTED'
multipart/related, boundary of 73 characters, 9 hyphens
EXPECTED
