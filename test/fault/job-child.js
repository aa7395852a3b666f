// A job that records into the spool of a running system. It reads its orders line by line. Arguments: data folder, name of its spool.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createCollector, created, readKeyFile } from '../../dist/sdk/lineproof.js';

const [data, name] = process.argv.slice(2);
const signer = await readKeyFile(join(data, 'keys', 'collector.key'));
const collector = await createCollector({
  origin: signer.name.replace(/\/collector$/, ''),
  shards: 1,
  signer,
  log: null,
  spool: { folder: join(data, 'spool', name) },
});

/** Records that many events; says their ids once all of them are on disk. */
async function record(count) {
  const ids = [];
  for (let i = 0; i < count; i++) ids.push(await collector.recordDurably(created({ stream: 'job/events', actor: 'job' })));
  return ids.join(' ');
}

for await (const line of createInterface({ input: process.stdin })) {
  const [act, count] = JSON.parse(line);
  process.stdout.write(`${act === 'record' ? await record(count) : await collector.close()}\n`);
}
