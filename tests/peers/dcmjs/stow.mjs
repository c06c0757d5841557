// dcmjs as what writes the instances of a Store: `stow.mjs URL AUTHORIZATION dicom|json FILE...`. It reads each file, and
// sends what it writes of all of them in one request, as files or as DICOM JSON without pixels. Prints status and answer.
import { readFileSync } from 'node:fs';
import dcmjs from 'dcmjs';

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
dcmjs.log.setLevel('silent');
const [url, authorization, form, ...files] = process.argv.slice(2);
const boundary = 'dcmjs-parts';

function asJson(read) {
  const natural = DicomMetaDictionary.naturalizeDataset(read.dict);
  delete natural.PixelData;
  return DicomMetaDictionary.denaturalizeDataset(natural);
}

const read = files.map((file) => DicomMessage.readFile(new Uint8Array(readFileSync(file)).buffer));
const type = form === 'json' ? 'application/dicom+json' : 'application/dicom';
const parts = form === 'json' ? [JSON.stringify(read.map(asJson))] : read.map((one) => new Uint8Array(one.write()));
const body = parts.flatMap((part) => [`--${boundary}\r\nContent-Type: ${type}\r\n\r\n`, part, '\r\n']);
const answer = await fetch(`${url}/studies`, {
  method: 'POST',
  headers: {
    Accept: 'application/dicom+json',
    Authorization: authorization,
    'Content-Type': `multipart/related; type="${type}"; boundary=${boundary}`,
  },
  body: new Blob([...body, `--${boundary}--\r\n`]),
});
console.log(JSON.stringify({ status: answer.status, answer: await answer.json() }));
