// Reads everything of a study with the DICOMweb client of OHIF's viewer, and prints what it got as JSON.
import XMLHttpRequest from "xhr2";
import { api } from "dicomweb-client";

globalThis.XMLHttpRequest = XMLHttpRequest;
const [url, authorization, studyInstanceUID] = process.argv.slice(2);
const client = new api.DICOMwebClient({ url, headers: authorization ? { Authorization: authorization } : {} });
const uids = (found, tag) => found.map((one) => one[tag].Value[0]).sort();
const sizes = (files) => files.map((one) => one.byteLength).sort((a, b) => a - b);

try {
  const studies = await client.searchForStudies({ queryParams: { StudyInstanceUID: studyInstanceUID, includefield: "StudyDescription" } });
  const series = await client.searchForSeries({ studyInstanceUID });
  const seriesInstanceUID = series[0]["0020000E"].Value[0];
  const instances = await client.searchForInstances({ studyInstanceUID });
  const metadata = await client.retrieveStudyMetadata({ studyInstanceUID });
  const ofSeries = await client.retrieveSeriesMetadata({ studyInstanceUID, seriesInstanceUID });
  const sopInstanceUID = ofSeries[0]["00080018"].Value[0];
  const ofInstance = await client.retrieveInstanceMetadata({ studyInstanceUID, seriesInstanceUID, sopInstanceUID });
  const files = await client.retrieveStudy({ studyInstanceUID });
  const one = await client.retrieveInstance({ studyInstanceUID, seriesInstanceUID, sopInstanceUID });
  console.log(JSON.stringify({
    studies: uids(studies, "0020000D"), description: studies[0]["00081030"]?.Value?.[0] ?? null,
    series: uids(series, "0020000E"), instances: uids(instances, "00080018"), metadata: uids(metadata, "00080018"),
    of_series: uids(ofSeries, "00080018"), of_instance: uids(ofInstance, "00080018"), files: sizes(files), file: one.byteLength,
  }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, status: error.status ?? null }));
}
