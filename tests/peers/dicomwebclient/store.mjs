// Stores files with the DICOMweb client of OHIF's viewer, all in one request, and prints the answer as JSON.
import { readFileSync } from "node:fs";
import XMLHttpRequest from "xhr2";
import { api } from "dicomweb-client";

globalThis.XMLHttpRequest = XMLHttpRequest;
const [url, authorization, ...files] = process.argv.slice(2);
const client = new api.DICOMwebClient({ url, headers: authorization ? { Authorization: authorization } : {} });
const datasets = files.map((file) => new Uint8Array(readFileSync(file)).buffer);

try {
  console.log(JSON.stringify({ answer: await client.storeInstances({ datasets }) ?? null }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, status: error.status ?? null }));
}
