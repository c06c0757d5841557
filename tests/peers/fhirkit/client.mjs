// A FHIR client on standard input: one request per line as JSON, {"call": ..., ...}; one answer per line,
// {"answer": resource} or {"status": HTTP status, "outcome": resource}.
import { createInterface } from "node:readline";
import { Client } from "fhir-kit-client";

const [, , baseUrl, token] = process.argv;
const client = new Client({ baseUrl, ...(token ? { bearerToken: token } : {}) });

const calls = {
  metadata: () => client.capabilityStatement(),
  read: ({ type, id }) => client.read({ resourceType: type, id }),
  search: ({ parameters, post, headers }) =>
    client.search({
      resourceType: "ImagingStudy",
      searchParams: parameters,
      options: { postSearch: post ?? false, headers: headers ?? {} },
    }),
  next: ({ bundle }) => client.nextPage({ bundle }),
  delete: ({ type, id }) => client.delete({ resourceType: type, id }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let said;
  try {
    said = { answer: (await calls[asked.call](asked)) ?? null };
  } catch (error) {
    said = { status: error.response?.status ?? 0, outcome: error.response?.data ?? String(error) };
  }
  process.stdout.write(JSON.stringify(said) + "\n");
}
