import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { type ArchivedEventView, queryArchive } from '../auditor/query.ts';
import { LineproofError } from '../core/errors.ts';
import { type Command, type Invocation, stringOption } from './command.ts';
import { EXIT } from './exit-codes.ts';

/** `lineproof query`: archived events with their place in the log. */
export const queryCommand: Command = {
  name: 'query',
  summary: 'Print archived events with their place in the log',
  usage: 'query ARCHIVE [--stream NAME] [--json]',
  options: [
    { name: 'stream', short: 's', type: 'string', value: 'NAME', help: 'only events of this stream, in its order' },
    { name: 'json', type: 'boolean', help: 'one JSON object a line, with every field of the event' },
  ],
  notes: ['Prints what the archive holds; lineproof verify tells whether to believe it.'],
  run: async (invocation: Invocation): Promise<number> => {
    const archive = invocation.operands[0];
    if (archive === undefined || invocation.operands.length > 1)
      throw new LineproofError('USAGE', 'query takes one archive folder; see lineproof query --help');
    if (!existsSync(archive)) throw new LineproofError('IO_FAILED', `cannot query ${archive}: there is no such folder`);
    const objects = await openFolderObjectStore(archive);
    const stream = stringOption(invocation, 'stream');
    const { stdout, stderr } = invocation.terminal;
    let count = 0;
    for await (const found of queryArchive(objects, stream === undefined ? {} : { stream })) {
      count++;
      if (!stdout.write(invocation.options['json'] === true ? `${JSON.stringify(found)}\n` : line(found))) await once(stdout, 'drain');
    }
    await objects.close();
    if (count === 0)
      stderr.write(stream === undefined ? 'no archived events\n' : `no archived events of stream ${JSON.stringify(stream)}\n`);
    return EXIT.ok;
  },
};

function line({ shard, logIndex, streamIndex, acceptedAt, event }: ArchivedEventView): string {
  const place = `${shard}/${logIndex}`.padEnd(10);
  return event === null
    ? `${place} #${streamIndex} (removed by retention)\n`
    : `${place} ${acceptedAt}  ${event.type.padEnd(9)} ${event.stream} #${streamIndex}  ${event.id}\n`;
}
