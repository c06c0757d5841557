// A FHIR client on standard input: one request per line as JSON, {"base": ..., "token": ..., "call": ..., ...}; one answer
// per line, {"answer": resource} or {"status": HTTP status, "outcome": resource}.
import { createInterface } from "node:readline";
import { Client } from "fhir-kit-client";

const calls = {
  metadata: (client) => client.capabilityStatement(),
  read: (client, { type, id }) => client.read({ resourceType: type, id }),
  search: (client, { parameters, post, headers }) =>
    client.search({
      resourceType: "ImagingStudy",
      searchParams: parameters,
      options: { postSearch: post ?? false, headers: headers ?? {} },
    }),
  next: (client, { bundle }) => client.nextPage({ bundle }),
  delete: (client, { type, id }) => client.delete({ resourceType: type, id }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const client = new Client({ baseUrl: asked.base, ...(asked.token ? { bearerToken: asked.token } : {}) });
  let said;
  try {
    said = { answer: (await calls[asked.call](client, asked)) ?? null };
  } catch (error) {
    said = { status: error.response?.status ?? 0, outcome: error.response?.data ?? String(error) };
  }
  process.stdout.write(JSON.stringify(said) + "\n");
}
