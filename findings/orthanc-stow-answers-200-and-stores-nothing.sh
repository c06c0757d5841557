#!/bin/sh
# The DICOMweb plugin 1.7 of Orthanc 1.10.1 (Debian 12), and STOW-RS with a part whose Content-Type has a parameter, such as
# the `transfer-syntax` of PS3.18 8.7.3.5.2.
#
# Guess before the run: the instance is stored, or listed in Failed SOP Sequence.
# Seen: 200; Referenced SOP Sequence and Failed SOP Sequence are both empty, and nothing is stored. The same part without the
# parameter is stored.
# For whoever sends instances by STOW-RS: leave the parameter out, for the file states its transfer syntax itself; and take
# nothing for stored but what the answer lists as stored, whatever its status.
# Needs: apt-get install -y orthanc orthanc-dicomweb dcmtk curl
set -eu

work=$(mktemp -d)
cd "$work"
port=18042
cat > orthanc.json <<JSON
{"StorageDirectory": "$work", "IndexDirectory": "$work", "HttpPort": $port, "DicomPort": 18043, "RemoteAccessAllowed": false,
 "AuthenticationEnabled": false, "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"]}
JSON
PATH="$PATH:/usr/sbin" Orthanc orthanc.json > log 2>&1 &
orthanc=$!
trap 'kill -9 $orthanc; rm -rf "$work"' EXIT
until curl -sf "http://127.0.0.1:$port/system" > /dev/null; do sleep 0.2; done

cat > made.dump <<'DUMP'
(0008,0016) UI 1.2.840.10008.5.1.4.1.1.7
(0008,0018) UI 1.2.3.4.5.6
(0010,0020) LO 4711
(0020,000d) UI 1.2.3.4
(0020,000e) UI 1.2.3.4.5
DUMP
dump2dcm +te made.dump made.dcm

send() {
    { printf -- '--next\r\nContent-Type: %s\r\n\r\n' "$1"; cat made.dcm; printf '\r\n--next--\r\n'; } > body
    status=$(curl -s -o answer -w '%{http_code}' -H 'Accept: application/dicom+json' \
        -H 'Content-Type: multipart/related; type="application/dicom"; boundary=next' --data-binary @body \
        "http://127.0.0.1:$port/dicom-web/studies")
    listed=$(grep -c 1.2.3.4.5.6 answer || true)
    held=$(curl -s "http://127.0.0.1:$port/instances" | grep -c '"' || true)
    echo "$1: HTTP $status, lines that list the instance: $listed, instances held: $held"
}
{ send 'application/dicom; transfer-syntax=1.2.840.10008.1.2.1'; send application/dicom; } | tee seen
diff - seen <<'EXPECTED'
application/dicom; transfer-syntax=1.2.840.10008.1.2.1: HTTP 200, lines that list the instance: 0, instances held: 0
application/dicom: HTTP 200, lines that list the instance: 2, instances held: 1
EXPECTED
