#!/bin/sh
# Orthanc 1.10.1 (Debian 12), and a C-GET of two instances of which the requestor cannot take one.
#
# Guess before the run: B000, or A702, with a data set that has Failed SOP Instance UID List (0008,0058), as PS3.4 C.4.3.1.3.2 has it.
# Seen: B000 or C000 without a data set (Command Data Set Type 0101H); the list stands in the command set, which has no elements but those
# of group 0000 (PS3.7 6.3), behind a group length (0008,0000).
# For whoever reads answers: pass over other groups in the command set of a response.
# Needs: apt-get install -y orthanc dcmtk curl
set -eu

work=$(mktemp -d)
cd "$work"
port=18047
cat > orthanc.json <<JSON
{"StorageDirectory": "$work", "IndexDirectory": "$work", "HttpPort": $port, "DicomPort": 18048, "RemoteAccessAllowed": false,
 "AuthenticationEnabled": false, "DicomAlwaysAllowGet": true}
JSON
PATH="$PATH:/usr/sbin" Orthanc orthanc.json > log 2>&1 &
orthanc=$!
trap 'kill -9 $orthanc; rm -rf "$work"' EXIT
until curl -sf "http://127.0.0.1:$port/system" > /dev/null; do sleep 0.2; done

# A private class is not among those that getscu proposes.
for class in 1.2.840.10008.5.1.4.1.1.7 1.2.3.4.5.6.7; do
    cat > made.dump <<DUMP
(0008,0016) UI $class
(0008,0018) UI $class.1
(0010,0020) LO 4711
(0020,000d) UI 1.2.3.1
(0020,000e) UI 1.2.3.4.1
DUMP
    dump2dcm +te made.dump made.dcm
    curl -sf -o /dev/null --data-binary @made.dcm "http://127.0.0.1:$port/instances"
done
getscu -d -S -od . -k QueryRetrieveLevel=STUDY -k StudyInstanceUID=1.2.3.1 127.0.0.1 18048 > answers 2>&1 || true
{
    echo "data set of the last response: $(grep -a 'Data Set  *:' answers | tail -1 | sed 's/.*: //')"
    echo "lists in its command set: $(sed -n '/DIMSE Status/,$p' answers | grep -ac '(0008,0058)')"
} | tee seen
diff - seen <<'EXPECTED'
data set of the last response: none
lists in its command set: 1
EXPECTED
