#!/bin/sh
# Orthanc 1.10.1 (Debian 12) with LimitFindResults, and a C-FIND that matches more studies than the limit.
#
# Guess before the run: A700, Refused: Out of Resources (PS3.4 Table C.4-1), with or without the first matches.
# Seen: the first matches with FF00, then FE00, Matching terminated due to Cancel Request, though the SCU sent no C-CANCEL.
# For whoever queries: FE00 that was not asked for means that there is more; ask for less at once, such as for half of the days.
# Needs: apt-get install -y orthanc dcmtk curl
set -eu

work=$(mktemp -d)
cd "$work"
port=18044
cat > orthanc.json <<JSON
{"StorageDirectory": "$work", "IndexDirectory": "$work", "HttpPort": $port, "DicomPort": 18045, "RemoteAccessAllowed": false,
 "AuthenticationEnabled": false, "LimitFindResults": 2, "DicomAlwaysAllowFind": true}
JSON
PATH="$PATH:/usr/sbin" Orthanc orthanc.json > log 2>&1 &
orthanc=$!
trap 'kill -9 $orthanc; rm -rf "$work"' EXIT
until curl -sf "http://127.0.0.1:$port/system" > /dev/null; do sleep 0.2; done

for number in 1 2 3; do
    cat > made.dump <<DUMP
(0008,0016) UI 1.2.840.10008.5.1.4.1.1.7
(0008,0018) UI 1.2.3.4.5.$number
(0010,0020) LO 4711
(0020,000d) UI 1.2.3.$number
(0020,000e) UI 1.2.3.4.$number
DUMP
    dump2dcm +te made.dump made.dcm
    storescu 127.0.0.1 18045 made.dcm
done
findscu -v -S -k QueryRetrieveLevel=STUDY -k StudyInstanceUID 127.0.0.1 18045 > answers 2>&1
{
    echo "matches: $(grep -ac 'Find Response: [0-9]* (Pending)' answers)"
    grep -ao 'Received Final Find Response (.*)' answers
} | tee seen
diff - seen <<'EXPECTED'
matches: 2
Received Final Find Response (Cancel: MatchingTerminatedDueToCancelRequest)
EXPECTED
