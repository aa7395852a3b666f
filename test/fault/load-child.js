// Records events durably on an embedded data folder until it is killed; says each id on stdout once its promise resolved.
// Arguments: data folder, number of this run. Runs the built code, as a user's process would.
import { writeSync } from 'node:fs';
import { openEmbedded } from '../../dist/embedded/embedded.js';

const [data, run] = process.argv.slice(2);
const embedded = await openEmbedded({ data, segmentMaxAgeMs: 1000, logLevel: 'error' });
say('open');
const collector = embedded.collector;

/** The whole line, at once: a pipe whose reader is behind takes a part, or answers EAGAIN. */
function say(line) {
  const bytes = Buffer.from(`${line}\n`);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(1, bytes, done);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

async function produce(lane) {
  for (let i = 0; ; i++) {
    const id = await collector.recordDurably({
      stream: `load/${lane % 5}`,
      type: i % 3 === 0 ? 'CREATE' : 'ACCESS',
      actor: { id: `load-${lane}`, kind: 'JOB' },
      attributes: { run, lane: String(lane), number: String(i) },
    });
    say(id);
  }
}

await Promise.all(Array.from({ length: 16 }, (_, lane) => produce(lane)));
