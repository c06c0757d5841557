// dcmjs-dimse as a scanner: `scu.mjs PORT echo|find|cancel|store [FILE...]`, one association each, for `store` one for each
// file; `scu.mjs PORT perform UID STUDY STEP` begins and ends a performed step. Prints one JSON document: the status of each response, the identifiers it held, and what the library cannot send.
import dcmjsDimse from 'dcmjs-dimse';

const { Client, Dataset, requests } = dcmjsDimse;
dcmjsDimse.log.setLevel('silent');
const [port, action, ...files] = process.argv.slice(2);
const told = { statuses: [], items: [], unsendable: {} };

function ask(request, name) {
  return new Promise((resolve) => {
    const client = new Client();
    const failed = (error) => {
      told.unsendable[name] = String(error);
      resolve();
    };
    request.on('response', (response) => {
      told.statuses.push([name, response.getStatus()]);
      const identifier = response.getDataset();
      if (identifier) {
        told.items.push(identifier.getElements());
        if (action === 'cancel') client.cancel(request);
      }
    });
    client.on('networkError', failed);
    client.on('associationRejected', failed);
    client.on('closed', resolve);
    try {
      client.addRequest(request);
      client.send('127.0.0.1', Number(port), 'DCMJS', 'GATEWAY');
    } catch (error) {
      failed(error);
    }
  });
}

function instance(file) {
  const request = new requests.CStoreRequest(file);
  for (const one of [request.getAffectedSopClassUid(), request.getDataset().getTransferSyntaxUid()]) {
    if (typeof one !== 'string') throw new Error('it finds no SOP class or no transfer syntax in it');
  }
  return request;
}

if (action === 'echo') {
  await ask(new requests.CEchoRequest(), 'echo');
} else if (action === 'store') {
  for (const file of files) {
    try {
      await ask(instance(file), file);
    } catch (error) {
      told.unsendable[file] = String(error);
    }
  }
} else if (['perform', 'begin', 'end'].includes(action)) {
  const [uid, study, step] = files;
  const mpps = '1.2.840.10008.3.1.2.3.3';
  if (action !== 'end') {
    const begin = new requests.NCreateRequest(mpps, uid);
    begin.setDataset(new Dataset({
      ScheduledStepAttributesSequence: [{ StudyInstanceUID: study, ScheduledProcedureStepID: step }],
      PerformedProcedureStepStatus: 'IN PROGRESS',
      Modality: 'CT',
    }));
    await ask(begin, 'begin');
  }
  if (action !== 'begin') {
    const end = new requests.NSetRequest(mpps, uid);
    end.setDataset(new Dataset({ PerformedProcedureStepStatus: 'COMPLETED' }));
    await ask(end, 'end');
  }
} else {
  await ask(requests.CFindRequest.createWorklistFindRequest({ PatientName: '', AccessionNumber: '' }), 'find');
}
process.stdout.write(JSON.stringify(told), () => process.exit(0));
