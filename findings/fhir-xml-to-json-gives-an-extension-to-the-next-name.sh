#!/bin/sh
# The npm package fhir 4.12.0, which converts resources between XML and JSON, and a first name without a value.
#
# Guess before the run: `name.given` of two entries, of which the first has only the extension data-absent-reason, is
# `given: [null, "Ann"], _given: [{...}, null]` in JSON, as FHIR's "JSON representation of primitive elements" asks for;
# JSON -> XML -> JSON gives the same resource; a decimal stays a JSON number.
# Seen: the entry without a value is dropped from `given` and kept in `_given`: the extension "unknown" now belongs to
# "Ann". Written to XML again, the resource has one first name, Ann, whose absence has a reason. valueDecimal is a JSON
# string. The package's own validator finds no fault in the input.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . fhir@4.12.0 > install.log 2>&1 || { cat install.log; exit 1; }
cat > convert.cjs <<'JS'
const { Fhir } = require('fhir');
const fhir = new Fhir();
const absent = { url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' };
const patient = {
  resourceType: 'Patient',
  extension: [{ url: 'http://example.org/weight', valueDecimal: 71.5 }],
  name: [{ given: [null, 'Ann'], _given: [{ extension: [absent] }, null] }],
};
console.log('valid:', fhir.validate(patient).valid);
const back = fhir.xmlToObj(fhir.objToXml(patient));
console.log('given:', JSON.stringify(back.name[0].given), 'entries of _given:', back.name[0]._given.length);
console.log('valueDecimal:', typeof back.extension[0].valueDecimal);
console.log(fhir.objToXml(back).match(/<given.*<\/given>/)[0]);
JS
node convert.cjs | tee seen
diff - seen <<'EXPECTED'
valid: true
given: ["Ann"] entries of _given: 1
valueDecimal: string
<given value="Ann"><extension url="http://hl7.org/fhir/StructureDefinition/data-absent-reason"><valueCode value="unknown"/></extension></given>
EXPECTED
