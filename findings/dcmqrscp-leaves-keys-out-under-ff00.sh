#!/bin/sh
# dcmqrscp of DCMTK 3.6.7 (Debian 12), and a C-FIND that asks for the SOP Class UID of instances, and for numbers of instances.
#
# Guess before the run: each match has all keys, without a value where dcmqrscp does not support them, under FF01 (PS3.4
# Table C.4-1: optional keys that are not supported).
# Seen: FF00; SOP Class UID (0008,0016), Modalities in Study (0008,0061) and Number of Study Related Instances (0020,1208)
# are not in the answers, and a value of Modalities in Study that no study has is matched by all.
# For whoever queries: a number that is absent is not 0; hold answers against the question; and retrieve an instance to know
# its SOP Class.
# Needs: apt-get install -y dcmtk
set -eu

work=$(mktemp -d)
cd "$work"
mkdir store
cat > dcmqrscp.cfg <<CFG
NetworkTCPPort = 18046
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP $work/store RW (100, 1024mb) ANY
AETable END
CFG
dcmqrscp -c dcmqrscp.cfg > log 2>&1 &
archive=$!
trap 'kill $archive; rm -rf "$work"' EXIT
until echoscu -aec QRSCP 127.0.0.1 18046 2> /dev/null; do sleep 0.2; done

cat > made.dump <<'DUMP'
(0008,0016) UI 1.2.840.10008.5.1.4.1.1.7
(0008,0018) UI 1.2.3.4.5.6
(0008,0060) CS OT
(0010,0020) LO 4711
(0020,000d) UI 1.2.3.4
(0020,000e) UI 1.2.3.4.5
DUMP
dump2dcm +te made.dump made.dcm
storescu -aec QRSCP 127.0.0.1 18046 made.dcm
mkdir studies images
findscu -d -S -X -od studies -aec QRSCP -k QueryRetrieveLevel=STUDY -k StudyInstanceUID -k ModalitiesInStudy=MG \
    -k NumberOfStudyRelatedInstances 127.0.0.1 18046 > log.studies 2>&1
findscu -d -S -X -od images -aec QRSCP -k QueryRetrieveLevel=IMAGE -k StudyInstanceUID=1.2.3.4 \
    -k SeriesInstanceUID=1.2.3.4.5 -k SOPInstanceUID -k SOPClassUID 127.0.0.1 18046 > log.images 2>&1
for level in studies images; do
    answers=$(find $level -name '*.dcm' | wc -l)
    keys=$(find $level -name '*.dcm' -exec dcmdump {} + | grep -c '(0008,0016)\|(0008,0061)\|(0020,1208)' || true)
    echo "$level: answers $answers, with FF01 $(grep -ac 'DIMSE Status.*0xff01' log.$level || true), keys that were asked for $keys"
done | tee seen
diff - seen <<'EXPECTED'
studies: answers 1, with FF01 0, keys that were asked for 0
images: answers 1, with FF01 0, keys that were asked for 0
EXPECTED
