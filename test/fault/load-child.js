// Records events durably on an embedded data folder until it is killed; says each id on stdout once its promise resolved.
// Arguments: data folder, number of this run. Runs the built code, as a user's process would.
import { writeSync } from 'node:fs';
import { openEmbedded } from '../../dist/cli/embedded.js';

const [data, run] = process.argv.slice(2);
const embedded = await openEmbedded({ data, segmentMaxAgeMs: 1000, logLevel: 'error' });
writeSync(1, 'open\n');
const collector = embedded.collector;

async function produce(lane) {
  for (let i = 0; ; i++) {
    const id = await collector.recordDurably({
      stream: `load/${lane % 5}`,
      type: i % 3 === 0 ? 'CREATE' : 'ACCESS',
      actor: { id: `load-${lane}`, kind: 'JOB' },
      attributes: { run, lane: String(lane), number: String(i) },
    });
    writeSync(1, `${id}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, (_, lane) => produce(lane)));
