import { type FileHandle, open } from 'node:fs/promises';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { readKey } from '../cluster/keys.ts';
import { openClusterReaders } from '../cluster/readers.ts';
import { DRAIN_MS, openClusterCollector } from '../cluster/spooling-collector.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { openRecorder } from '../embedded/recorder.ts';
import { errnoOf, systemReason } from '../platform/errno.ts';
import { friendlyCollector } from '../sdk/friendly-collector.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import type { Command, Invocation } from './command.ts';
import { commandLogger } from './command-log.ts';
import { clusterTable, SERVERS } from './command-settings.ts';
import { type EmitOptions, emitLines, type Input, type LineOutcome } from './emit-lines.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings, openSettings } from './invocation-settings.ts';
import { describeRecorder, NOT_LINKED } from './recorder-notes.ts';

/** `lineproof emit`: events as lines of JSON. */
export const emitCommand: Command = {
  name: 'emit',
  summary: 'Record events from lines of JSON',
  usage: ['emit [--cluster] [--json] [FILE] [OPTIONS]'],
  options: [
    { name: 'cluster', type: 'boolean', help: 'send to Kafka with collector.key instead of recording into the embedded system' },
    { name: 'json', type: 'boolean', help: 'print for each line an object with its number and the id, or the error' },
    { name: 'quiet', short: 'q', type: 'boolean', help: 'print neither ids nor notes; lines that were refused are named all the same' },
  ],
  settings: {
    ...SETTINGS,
    ...clusterTable(['data', 'keys', 'rootKey', 'name', 'logLevel', ...SERVERS.kafka, ...SERVERS.registry, 'lingerMs']),
  },
  unusedSettings: clusterTable([...SERVERS.redis, ...SERVERS.s3, 'chainGroup', 'archiveGroup', 'httpHost', 'httpPort']),
  outlivesReader: () => true,
  notes: [
    'Each line is one event, as the SDK takes it: at least {"stream": "orders", "type": "CREATE", "actor": "shop"}. docs/getting-started.md lists the fields.',
    'Nothing is converted: a line with an unknown or repeated field, a value of another type, a number that would be rounded, or a time without zone is refused.',
    'To be able to send a file again, give each line an idempotencyKey and its occurredAt: a repeated line then adds nothing.',
    'Without FILE, or with -, lines come from stdin. The id of each event is printed once the event is on disk, in the order of the lines.',
    'Beside a running start, the events go to a spool in the data folder, which that process takes over.',
    'Exit code 1: some lines were refused. Each is named by its number and field; all others were recorded.',
    'Exit code 74: an event could not be stored, the input could not be read to its end, or not everything reached the log. Events in the spool are sent by the next emit on this data folder.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 1) throw new LineproofError('USAGE', 'emit takes one file at most');
    const [file] = invocation.operands;
    const isStdin = file === undefined || file === '-';
    const input = isStdin ? process.stdin : await openFile(file);
    const emitting = emitOptions(invocation, isStdin ? 'stdin' : file);
    return invocation.options['cluster'] === true
      ? emitToCluster(invocation, loadClusterSettings(invocation).values, input, emitting)
      : emitEmbedded(invocation, input, emitting);
  },
};

/** Opens the file of lines; called before anything else is opened or made. Throws NOT_FOUND, IO_FAILED. */
async function openFile(file: string): Promise<Input> {
  const cannot = (fact: string): LineproofError => new LineproofError('IO_FAILED', `cannot read ${file}: ${fact}`);
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new LineproofError('NOT_FOUND', `cannot read ${file}: there is no such file`);
    throw cannot(systemReason(error));
  }
  if (!(await handle.stat()).isDirectory()) return handle.createReadStream();
  await handle.close();
  throw cannot('it is a folder');
}

function emitOptions({ options, terminal }: Invocation, name: string): EmitOptions {
  const { stdout, stderr, signal } = terminal;
  const json = (outcome: LineOutcome): void => void stdout.write(`${JSON.stringify(outcome)}\n`);
  const id = (outcome: LineOutcome): void => void ('id' in outcome && stdout.write(`${outcome.id}\n`));
  const quiet = (): void => undefined;
  return {
    name,
    signal,
    told: options['json'] === true ? json : options['quiet'] === true ? quiet : id,
    warn: (text) => void stderr.write(`lineproof: ${text}\n`),
  };
}

async function emitEmbedded(invocation: Invocation, input: Input, emitting: EmitOptions): Promise<number> {
  const settings = openSettings(invocation);
  const recorder = await openRecorder(settings, 'emit', commandLogger(settings), prometheusMetrics());
  let code: number;
  try {
    if (invocation.options['quiet'] !== true) for (const note of describeRecorder(recorder, settings.data)) emitting.warn(note);
    code = await emitLines(input, friendlyCollector(recorder.collector), emitting);
  } catch (error) {
    await recorder.close();
    throw error;
  }
  try {
    await recorder.close();
    return code;
  } catch (error) {
    emitting.warn(`${NOT_LINKED}: ${messageOf(error)}`);
    return EXIT.io;
  }
}

async function emitToCluster(invocation: Invocation, settings: ClusterSettings, input: Input, emitting: EmitOptions): Promise<number> {
  const signer = await readKey(settings, 'collector');
  const cluster = await openClusterReaders(settings);
  try {
    const { policy } = (await cluster.sources()).policies.latest;
    const spool = await openClusterCollector({ settings, cluster, policy, signer, name: 'emit' });
    try {
      const code = await emitLines(input, friendlyCollector(spool.collector), emitting);
      if (await spool.collector.close(DRAIN_MS)) return code;
      invocation.terminal.stderr.write(`lineproof: not everything reached the log; it stays in ${spool.folder} for the next emit\n`);
      return EXIT.io;
    } finally {
      await spool.release();
    }
  } finally {
    await cluster.close();
  }
}
