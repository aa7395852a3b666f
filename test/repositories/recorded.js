// What was recorded of a history: the events that `lineproof query --json` prints, by commit.
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';

/** The id of an event from a caller's key (docs/formats.md §1). */
export function idOf(stream, key) {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(Buffer.byteLength(stream));
  const id = createHash('sha256')
    .update(Buffer.concat([Buffer.of(5), length, Buffer.from(stream), Buffer.from(key)]))
    .digest()
    .subarray(0, 16);
  id[6] = (id[6] & 0x0f) | 0x80;
  id[8] = (id[8] & 0x3f) | 0x80;
  return id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The bytes of a text of an event (docs/git.md, "Names that are not UTF-8"). */
export function bytesOf(text) {
  const parts = text.split(/(\\x[0-9a-f]{2})/);
  return Buffer.concat(parts.map((part, i) => (i % 2 === 1 ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part))));
}

/** Reads the lines of `query --json`; gives the events of each commit, in the order of the log. */
export async function commitsIn(lines) {
  const commits = new Map();
  for await (const line of createInterface({ input: lines, crlfDelay: Number.POSITIVE_INFINITY })) {
    const { event, logIndex } = JSON.parse(line);
    const attributes = Object.fromEntries(event.attributes.map(({ key, value }) => [key, value]));
    const hash = attributes['git.commit'];
    const entry = { ...event, attributes, logIndex };
    if (commits.has(hash)) commits.get(hash).push(entry);
    else commits.set(hash, [entry]);
  }
  return commits;
}

/** The changes of a commit, from its events: each A takes the next output, each D the next input, all others one of both. */
export function changesIn(events) {
  return events.flatMap(({ inputs, outputs, attributes }) => {
    const [before, after] = [inputs.values(), outputs.values()];
    const lines = (attributes['git.changes'] ?? '').split('\n').filter((line) => line !== '');
    const changes = lines.map((line) => changeOf(line, before, after));
    if (!before.next().done || !after.next().done) throw new Error(`event of ${attributes['git.commit']} has files that no change names`);
    return changes;
  });
}

function changeOf(line, before, after) {
  const [status, ...modes] = line.split(' ');
  const change = { status };
  if (status !== 'A') change.before = { mode: modes.shift(), ref: before.next().value };
  if (status !== 'D') change.after = { mode: modes.shift(), ref: after.next().value };
  return change;
}
