import { once } from 'node:events';
import { join } from 'node:path';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { Findings } from '../auditor/findings.ts';
import { type ArchivedEventView, eventView, type PlainEvent, plainEvents, type QueryOptions, queryArchive } from '../auditor/query.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { counted, printable, terminalJson } from '../core/base/terminal-text.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { type OpenTail, openTail } from '../embedded/open-tail.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import { flagOf } from '../settings/setting.ts';
import { openArchive, READING_SETTINGS } from './archive-location.ts';
import { type Command, type Invocation, stringOption, type Terminal } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { dataFolder } from './invocation-settings.ts';
import { tellFindings } from './told-findings.ts';

/** Number of streams that are named when the requested stream does not exist. */
const NAMED_STREAMS = 5;

/** `lineproof query`: archived events with their place in the log. */
export const queryCommand: Command = {
  name: 'query',
  summary: 'Print events with their place in the log',
  usage: ['query [ARCHIVE] [--stream NAME] [--json]'],
  options: [
    { name: 'stream', short: 's', type: 'string', value: 'NAME', help: 'only events of this stream, in its order' },
    { name: 'json', type: 'boolean', help: 'one JSON object a line, with every field of the event' },
    {
      name: flagOf('data'),
      type: 'string',
      value: 'FOLDER',
      help: `data folder whose archive and log are read where no ARCHIVE is given (${SETTINGS.data.fallback})`,
    },
  ],
  settings: READING_SETTINGS,
  lists: () => true,
  notes: [
    'Each line: SHARD/LEAF, time of acceptance, type, STREAM #POSITION, event id. Without --stream, events come in the order of each log.',
    'Without ARCHIVE, the events of the data folder that are in its log and not archived yet come last, marked as such; in JSON, their "object" is null. This works beside a running start.',
    'In JSON, ids are UUIDs and all other bytes (digests, trace ids) are hexadecimal. acceptedAt is ISO 8601; times inside the event are microseconds since 1970. event is null where its content was removed. Events of an older schema have the defaults of the fields that were added since.',
    'query prints what archive and log hold. lineproof verify tells whether to believe the archive.',
    'Exit code 1: some objects cannot be read, so that events may be missing; stderr names them.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 1) throw new LineproofError('USAGE', 'query takes one archive; see lineproof query --help');
    const [named] = invocation.operands;
    const { stdout, stderr } = invocation.terminal;
    const stream = stringOption(invocation, 'stream');
    const { folder } = dataFolder(invocation);
    const tail = named === undefined ? await tailOf(folder, stderr) : NO_TAIL;
    const archive = named ?? join(folder, 'archive');
    const seen: Seen = { count: 0, removed: 0, others: new Set(), ends: new Map() };
    const print = async (found: ArchivedEventView): Promise<void> => {
      seen.count++;
      if (!stdout.write(invocation.options['json'] === true ? `${terminalJson(found)}\n` : line(found))) await once(stdout, 'drain');
    };
    const findings = new Findings();
    const objects = await openUnlessNew(archive, tail, invocation);
    if (objects !== undefined) for await (const found of queryArchive(objects, queryOptions(stream, seen), findings)) await print(found);
    await objects?.close();
    const missed = await printTail(tail, stream, seen, print, stderr);
    if (seen.count === 0) sayNone(stream, seen.others, named !== undefined, stderr);
    if (seen.removed > 0) stderr.write(`the events of ${counted(seen.removed, 'events file')} were removed by retention\n`);
    return tellFindings(findings, stderr) || missed ? EXIT.findings : EXIT.ok;
  },
};

/** The archive; undefined where a system has just started on the folder, which then has a log and nothing archived. Throws NOT_FOUND for any other. */
async function openUnlessNew(archive: string, { open }: Tail, invocation: Invocation): Promise<ObjectStore | undefined> {
  try {
    return await openArchive(archive, 'query', invocation);
  } catch (error) {
    if (open !== undefined && hasCode(error, 'NOT_FOUND')) return undefined;
    await open?.close();
    throw error;
  }
}

/** What a query came across. */
interface Seen {
  count: number;
  removed: number;
  /** Some of the streams that were not asked for. */
  readonly others: Set<string>;
  /** The leaf after the last archived one, by shard. */
  readonly ends: Map<number, number>;
}

function queryOptions(stream: string | undefined, seen: Seen): QueryOptions {
  return {
    ...(stream === undefined ? {} : { stream }),
    onRemoved: () => seen.removed++,
    onOther: (name) => tellOther(seen, name),
    onSegment: (shard, end) => void seen.ends.set(shard, end),
  };
}

function tellOther({ others }: Seen, name: string): void {
  if (others.size <= NAMED_STREAMS) others.add(name);
}

/** The tail of the data folder, if it has one; `missed` where it has one that cannot be read. */
interface Tail {
  readonly open: OpenTail | undefined;
  readonly missed: boolean;
}

const NO_TAIL: Tail = { open: undefined, missed: false };

async function tailOf(data: string, stderr: Terminal['stderr']): Promise<Tail> {
  try {
    return { open: await openTail(data, pinoLogger('error')), missed: false };
  } catch (error) {
    stderr.write(missedText(error));
    return { open: undefined, missed: true };
  }
}

/** Says that a log cannot be read, wholly or in part. Throws what is not a coded error. */
function missedText(error: unknown): string {
  if (!(error instanceof LineproofError)) throw error;
  return `lineproof: events that are not archived yet cannot be read: ${printable(error.message)} [${error.code}]\n`;
}

/** Prints the events of the tail and says how many there are; true where some could not be read. */
async function printTail(
  { open, missed }: Tail,
  stream: string | undefined,
  seen: Seen,
  print: (found: ArchivedEventView) => Promise<void>,
  stderr: Terminal['stderr'],
): Promise<boolean> {
  if (open === undefined) return missed;
  const archived = seen.count;
  let waiting = 0;
  const unread = new Set<string>();
  try {
    for (let shard = 0; shard < open.shards; shard++) {
      try {
        for await (const event of open.events(shard, seen.ends.get(shard) ?? 0)) {
          if (stream === undefined || event.stream === stream) await print(eventView(event, null, plain(event.schema, event.bytes)));
          else tellOther(seen, event.stream);
        }
        waiting += await open.waiting(shard);
      } catch (error) {
        unread.add(missedText(error));
      }
    }
  } finally {
    await open.close();
  }
  for (const text of unread) stderr.write(text);
  const count = seen.count - archived;
  if (count > 0) stderr.write(`${counted(count, 'event')} not archived yet: an open segment is archived when it ends\n`);
  if (waiting > 0)
    stderr.write(`${counted(waiting, 'message')} recorded and not in the log yet: a running start links them, or the next one\n`);
  return unread.size > 0;
}

/** One reader for each schema: to make one costs more than to read an event. */
const readers = new WeakMap<EventSchema, (bytes: Uint8Array) => PlainEvent>();

function plain(schema: EventSchema, bytes: Uint8Array): PlainEvent {
  const read = readers.get(schema) ?? plainEvents(schema);
  readers.set(schema, read);
  return read(bytes);
}

function sayNone(stream: string | undefined, others: ReadonlySet<string>, archiveOnly: boolean, stderr: Terminal['stderr']): void {
  const events = archiveOnly ? 'archived events' : 'events';
  if (stream === undefined) {
    stderr.write(`no ${events}${archiveOnly ? ': a segment is archived when it has ended' : ''}\n`);
    return;
  }
  const names = [...others].slice(0, NAMED_STREAMS).map((name) => JSON.stringify(printable(name)));
  const hint = names.length === 0 ? '' : `; there are events of ${names.join(', ')}${others.size > NAMED_STREAMS ? ' and others' : ''}`;
  stderr.write(`no ${events} of stream ${JSON.stringify(printable(stream))}${hint}\n`);
}

function line({ shard, logIndex, streamIndex, acceptedAt, object, event }: ArchivedEventView): string {
  const place = `${shard}/${logIndex}`.padEnd(10);
  return event === null
    ? `${place} ${acceptedAt}  (content removed)\n`
    : `${place} ${acceptedAt}  ${event.type.padEnd(9)} ${printable(event.stream)} #${streamIndex}  ${event.id}${object === null ? '  (not archived yet)' : ''}\n`;
}
