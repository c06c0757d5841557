#!/bin/sh
# The npm package dcmjs 0.51.1: DICOM JSON (PS3.18 Annex F) to "natural" objects and back.
#
# Guess before the run: denaturalizeDataset(naturalizeDataset(x)) is x for standard attributes; null, which is how
# PS3.18 F.2.5 has an empty value among others, stays null; numbers of SS and US stay JSON numbers.
# Seen: there with null, back with "TypeError: Cannot read properties of null". Every data set in ISO 2022 begins with
# such a value (Specific Character Set `\ISO 2022 IR 87`), so do Image Types with an empty place. Numbers come back as
# strings, which F.2.3 does not allow for SS and US; attributes that are private are left out, with a line on the console.
# For whoever edits Japanese data sets in a browser by these two calls: the way back is closed.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . dcmjs@0.51.1 > install.log 2>&1 || { cat install.log; exit 1; }
cat > round.cjs <<'JS'
const { DicomMetaDictionary } = require('dcmjs').data;
for (const [name, json] of Object.entries({
  'character sets': { '00080005': { vr: 'CS', Value: [null, 'ISO 2022 IR 87'] } },
  'image type': { '00080008': { vr: 'CS', Value: ['DERIVED', null, 'OTHER'] } },
  'no empty value': { '00080008': { vr: 'CS', Value: ['DERIVED', 'PRIMARY', 'OTHER'] } },
  'signed number': { '00280106': { vr: 'SS', Value: [-5] } },
  'private': { '00090010': { vr: 'LO', Value: ['SITE'] }, '00091001': { vr: 'DS', Value: [1.5] } },
})) {
  const natural = DicomMetaDictionary.naturalizeDataset(json);
  try {
    console.log(`${name}: ${JSON.stringify(DicomMetaDictionary.denaturalizeDataset(natural))}`);
  } catch (error) {
    console.log(`${name}: ${error.name}: ${error.message}`);
  }
}
JS
node round.cjs 2> /dev/null | tee seen
diff - seen <<'EXPECTED'
character sets: TypeError: Cannot read properties of null (reading 'constructor')
image type: TypeError: Cannot read properties of null (reading 'constructor')
no empty value: {"00080008":{"vr":"CS","Value":["DERIVED","PRIMARY","OTHER"]}}
signed number: {"00280106":{"vr":"SS","Value":["-5"]}}
private: {}
EXPECTED
