import { type FileHandle, open } from 'node:fs/promises';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { openClusterAttesting } from '../cluster/attested-cluster.ts';
import { readKey } from '../cluster/keys.ts';
import { openClusterReaders } from '../cluster/readers.ts';
import { DRAIN_MS, openClusterCollector } from '../cluster/spooling-collector.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { openRecorder } from '../embedded/recorder.ts';
import { errnoOf, systemReason } from '../platform/errno.ts';
import { makeFolder } from '../platform/made-folder.ts';
import type { AttestedRecord } from '../sdk/attested-recording.ts';
import { friendlyCollector } from '../sdk/friendly-collector.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import { type Command, type Invocation, stringOption } from './command.ts';
import { commandLogger } from './command-log.ts';
import { clusterTable, SERVERS } from './command-settings.ts';
import { type EmitOptions, emitLines, type Input, type LineOutcome } from './emit-lines.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings, openSettings } from './invocation-settings.ts';
import { openProofFolder, TLOG_PROOF_ENDING } from './proof-folder.ts';
import { describeRecorder, NOT_LINKED } from './recorder-notes.ts';
import { waitMsOf } from './wait-option.ts';

/** `lineproof emit`: events as lines of JSON. */
export const emitCommand: Command = {
  name: 'emit',
  summary: 'Record events from lines of JSON',
  usage: ['emit [--cluster] [--attested [--out FOLDER]] [--json] [FILE] [OPTIONS]'],
  options: [
    { name: 'cluster', type: 'boolean', help: 'send to Kafka with collector.key instead of recording into the embedded system' },
    { name: 'json', type: 'boolean', help: 'print for each line an object with its number and the id, or the error' },
    {
      name: 'attested',
      type: 'boolean',
      help: 'wait until a published note of the log covers each event, and write its proof: a .tlog-proof file as prove writes it',
    },
    { name: 'out', short: 'o', type: 'string', value: 'FOLDER', help: 'with --attested: folder for the proofs (the working folder)' },
    { name: 'wait', type: 'string', value: 'SECONDS', help: 'with --attested: wait so long for each event (60)' },
    { name: 'quiet', short: 'q', type: 'boolean', help: 'print neither ids nor notes; lines that were refused are named all the same' },
  ],
  settings: {
    ...SETTINGS,
    ...clusterTable(['data', 'keys', 'rootKey', 'name', 'logLevel', ...SERVERS.kafka, ...SERVERS.registry, ...SERVERS.s3, 'lingerMs']),
  },
  unusedSettings: clusterTable([...SERVERS.redis, 'chainGroup', 'archiveGroup', 'httpHost', 'httpPort']),
  outlivesReader: () => true,
  notes: [
    'Each line is one event, as the SDK takes it: at least {"stream": "orders", "type": "CREATE", "actor": "shop"}. docs/getting-started.md lists the fields.',
    'Nothing is converted: a line with an unknown or repeated field, a value of another type, a number that would be rounded, or a time without zone is refused.',
    'To be able to send a file again, give each line an idempotencyKey and its occurredAt: a repeated line then adds nothing.',
    'Without FILE, or with -, lines come from stdin. The id of each event is printed once the event is on disk, in the order of the lines.',
    'Beside a running start, the events go to a spool in the data folder, which that process takes over.',
    'With --attested, the path of its proof follows each id, and a line that the log refuses counts as refused. On a cluster, the archive is read from s3Bucket, and the collector needs to read provenance.chain. Beside a running start, use lineproof prove --event STREAM/ID --wait 60 instead.',
    'Exit code 1: some lines were refused. Each is named by its number and field; all others were recorded.',
    'Exit code 74: an event could not be stored, the input could not be read to its end, an event was not attested in time, or not everything reached the log. Events in the spool are sent by the next emit on this data folder.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 1) throw new LineproofError('USAGE', 'emit takes one file at most');
    const [file] = invocation.operands;
    const isStdin = file === undefined || file === '-';
    const input = isStdin ? process.stdin : await openFile(file);
    const emitting = emitOptions(invocation, isStdin ? 'stdin' : file, attestedOf(invocation));
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

/** What `--attested` asks for; undefined without it. Throws USAGE. */
function attestedOf(invocation: Invocation): EmitOptions['attested'] {
  const out = stringOption(invocation, 'out');
  if (invocation.options['attested'] === true) {
    const timeoutMs = waitMsOf(invocation, 60);
    if (timeoutMs === 0)
      throw new LineproofError('USAGE', '--wait is 0: an event is never attested at once; without --attested, nothing is waited for');
    return { timeoutMs, write: proofWriter(out) };
  }
  if (out === undefined && stringOption(invocation, 'wait') === undefined) return undefined;
  throw new LineproofError('USAGE', '--out and --wait belong to --attested');
}

/** Makes the folder at once: what cannot take proofs is to be known before an event is recorded. */
function proofWriter(out = '.'): (record: AttestedRecord) => string {
  if (out === '-' || out.endsWith(TLOG_PROOF_ENDING))
    throw new LineproofError('USAGE', `--out is ${JSON.stringify(out)}: emit writes a proof for each line, so name a folder`);
  makeFolder(out, 0o777);
  const folder = openProofFolder(out);
  let count = 0;
  return ({ shard, leaf, size, proof }) => {
    const name = { shard, leaf, size };
    return folder.write(name, [{ ending: TLOG_PROOF_ENDING, content: proof }], count++) as string;
  };
}

function emitOptions({ options, terminal }: Invocation, name: string, attested: EmitOptions['attested']): EmitOptions {
  const { stdout, stderr, signal } = terminal;
  const json = (outcome: LineOutcome): void => void stdout.write(`${JSON.stringify(outcome)}\n`);
  const id = (outcome: LineOutcome): void =>
    void ('id' in outcome && stdout.write(`${outcome.id}${outcome.proof === undefined ? '' : ` ${outcome.proof}`}\n`));
  const quiet = (): void => undefined;
  return {
    name,
    signal,
    told: options['json'] === true ? json : options['quiet'] === true ? quiet : id,
    warn: (text) => void stderr.write(`lineproof: ${text}\n`),
    ...(attested === undefined ? {} : { attested }),
  };
}

async function emitEmbedded(invocation: Invocation, input: Input, emitting: EmitOptions): Promise<number> {
  const settings = openSettings(invocation);
  const recorder = await openRecorder(settings, 'emit', commandLogger(settings), prometheusMetrics());
  let code: number;
  try {
    if (emitting.attested !== undefined && recorder.attesting === undefined) throw besideStart(settings.data);
    if (invocation.options['quiet'] !== true) for (const note of describeRecorder(recorder, settings.data)) emitting.warn(note);
    code = await emitLines(input, friendlyCollector(recorder.collector, recorder.attesting), emitting);
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

function besideStart(data: string): LineproofError {
  const why = `another process works on ${data} and takes the events over only when emit has ended`;
  const instead = 'record without --attested, then lineproof prove --event STREAM/ID --wait 60';
  return new LineproofError('DATA_IN_USE', `cannot wait until events are attested: ${why}; ${instead}`);
}

async function emitToCluster(invocation: Invocation, settings: ClusterSettings, input: Input, emitting: EmitOptions): Promise<number> {
  const signer = await readKey(settings, 'collector');
  const cluster = await openClusterReaders(settings);
  try {
    const { policy } = (await cluster.sources()).policies.latest;
    const spool = await openClusterCollector({ settings, cluster, policy, signer, name: 'emit' });
    const archive = emitting.attested === undefined ? undefined : await openClusterAttesting(settings, cluster, policy, signer);
    try {
      const code = await emitLines(input, friendlyCollector(spool.collector, archive?.attesting), emitting);
      if (await spool.collector.close(DRAIN_MS)) return code;
      invocation.terminal.stderr.write(`lineproof: not everything reached the log; it stays in ${spool.folder} for the next emit\n`);
      return EXIT.io;
    } finally {
      await archive?.close();
      await spool.release();
    }
  } finally {
    await cluster.close();
  }
}
