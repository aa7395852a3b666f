import { once } from 'node:events';
import { join } from 'node:path';
import { Findings } from '../auditor/findings.ts';
import { type ArchivedEventView, queryArchive } from '../auditor/query.ts';
import { LineproofError } from '../core/base/errors.ts';
import { counted, printable, terminalJson } from '../core/base/terminal-text.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import { flagOf } from '../settings/setting.ts';
import { openArchive, READING_SETTINGS } from './archive-location.ts';
import { type Command, type Invocation, stringOption, type Terminal } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { dataFolder } from './invocation-settings.ts';

/** Number of streams that are named when the requested stream does not exist. */
const NAMED_STREAMS = 5;

/** `lineproof query`: archived events with their place in the log. */
export const queryCommand: Command = {
  name: 'query',
  summary: 'Print archived events with their place in the log',
  usage: ['query [ARCHIVE] [--stream NAME] [--json]'],
  options: [
    { name: 'stream', short: 's', type: 'string', value: 'NAME', help: 'only events of this stream, in its order' },
    { name: 'json', type: 'boolean', help: 'one JSON object a line, with every field of the event' },
    {
      name: flagOf('data'),
      type: 'string',
      value: 'FOLDER',
      help: `data folder whose archive is read where no ARCHIVE is given (${SETTINGS.data.fallback})`,
    },
  ],
  settings: READING_SETTINGS,
  notes: [
    'Each line: SHARD/LEAF, time of acceptance, type, STREAM #POSITION, event id. Without --stream, events come in the order of each log.',
    'In JSON, ids are UUIDs and all other bytes (digests, trace ids) are hexadecimal. acceptedAt is ISO 8601; times inside the event are microseconds since 1970. event is null where its content was removed. Events of an older schema have the defaults of the fields that were added since.',
    'query prints what the archive holds. lineproof verify tells whether to believe it.',
    'Exit code 1: some objects cannot be read, so that events may be missing; stderr names them.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 1) throw new LineproofError('USAGE', 'query takes one archive; see lineproof query --help');
    const archive = invocation.operands[0] ?? join(dataFolder(invocation).folder, 'archive');
    const stream = stringOption(invocation, 'stream');
    const objects = await openArchive(archive, 'query', invocation);
    const { stdout, stderr } = invocation.terminal;
    const others = new Set<string>();
    let [count, removed] = [0, 0];
    const options = { onRemoved: () => removed++, onOther: (name: string) => others.size <= NAMED_STREAMS && others.add(name) };
    const findings = new Findings();
    for await (const found of queryArchive(objects, stream === undefined ? options : { ...options, stream }, findings)) {
      count++;
      if (!stdout.write(invocation.options['json'] === true ? `${terminalJson(found)}\n` : line(found))) await once(stdout, 'drain');
    }
    await objects.close();
    if (count === 0) sayNone(stream, others, stderr);
    if (removed > 0) stderr.write(`the events of ${counted(removed, 'events file')} were removed by retention\n`);
    return tellFindings(findings, stderr) ? EXIT.findings : EXIT.ok;
  },
};

/** Says which objects could not be read; true where events may be missing for that. */
function tellFindings({ obstacles }: Findings, stderr: Terminal['stderr']): boolean {
  // What lies beyond a bound is said of each property, with the same words.
  const lines = obstacles.map(
    ({ code, message, place }) => `${printable(message)}${place.object === undefined ? '' : `: ${printable(place.object)}`} [${code}]`,
  );
  for (const text of new Set(lines)) stderr.write(`lineproof: ${text}\n`);
  return obstacles.length > 0;
}

function sayNone(stream: string | undefined, others: ReadonlySet<string>, stderr: Terminal['stderr']): void {
  if (stream === undefined) {
    stderr.write('no archived events: a segment is archived when it has ended\n');
    return;
  }
  const names = [...others].slice(0, NAMED_STREAMS).map((name) => JSON.stringify(printable(name)));
  const hint = names.length === 0 ? '' : `; there are events of ${names.join(', ')}${others.size > NAMED_STREAMS ? ' and others' : ''}`;
  stderr.write(`no archived events of stream ${JSON.stringify(printable(stream))}${hint}\n`);
}

function line({ shard, logIndex, streamIndex, acceptedAt, event }: ArchivedEventView): string {
  const place = `${shard}/${logIndex}`.padEnd(10);
  return event === null
    ? `${place} ${acceptedAt}  (content removed)\n`
    : `${place} ${acceptedAt}  ${event.type.padEnd(9)} ${printable(event.stream)} #${streamIndex}  ${event.id}\n`;
}
