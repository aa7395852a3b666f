import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { readKey } from '../cluster/keys.ts';
import { openClusterReaders } from '../cluster/readers.ts';
import { DRAIN_MS, openClusterCollector } from '../cluster/spooling-collector.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { EmbeddedSystem } from '../embedded/system.ts';
import type { EventInput } from '../sdk/event-builder.ts';
import { type Collector, friendlyCollector } from '../sdk/friendly-collector.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import type { Command, Invocation } from './command.ts';
import { clusterTable, SERVERS } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings, loadInvocationSettings } from './invocation-settings.ts';

const MAX_LINE = 1024 * 1024;
const IN_FLIGHT = 4096;

/** `lineproof emit`: events as lines of JSON. */
export const emitCommand: Command = {
  name: 'emit',
  summary: 'Record events from lines of JSON',
  usage: ['emit [--cluster] [FILE] [OPTIONS]'],
  options: [
    { name: 'cluster', type: 'boolean', help: 'send to Kafka with collector.key instead of recording into the embedded system' },
    { name: 'quiet', short: 'q', type: 'boolean', help: 'do not print the ids' },
  ],
  settings: {
    ...SETTINGS,
    ...clusterTable(['data', 'keys', 'rootKey', 'name', 'logLevel', ...SERVERS.kafka, ...SERVERS.registry, 'lingerMs']),
  },
  unusedSettings: clusterTable([...SERVERS.redis, ...SERVERS.s3, 'chainGroup', 'archiveGroup', 'httpHost', 'httpPort']),
  notes: [
    'Each line is one event, as the SDK takes it: at least {"stream": "orders", "type": "CREATE", "actor": "shop"}. Times are ISO 8601 texts.',
    'Without FILE, or with -, lines come from stdin. The id of each event is printed once the event is on disk.',
    'Exit code 1: some lines could not be used. Each is named by its number; all others were recorded.',
    'Exit code 74: not everything reached the log. The rest stays in the spool; the next emit on this data folder sends it.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 1) throw new LineproofError('USAGE', 'emit takes one file at most');
    const [file] = invocation.operands;
    const input = file === undefined || file === '-' ? process.stdin : await openLines(file);
    return invocation.options['cluster'] === true
      ? emitToCluster(invocation, loadClusterSettings(invocation).values, input)
      : emitEmbedded(invocation, input);
  },
};

/** Opens a file of lines before anything else is opened. Throws IO_FAILED. */
async function openLines(file: string): Promise<NodeJS.ReadableStream> {
  const cannot = (fact: string): LineproofError => new LineproofError('IO_FAILED', `cannot read ${file}: ${fact}`);
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (error) {
    throw cannot((error as NodeJS.ErrnoException).code ?? 'unknown reason');
  }
  if (!(await handle.stat()).isDirectory()) return handle.createReadStream();
  await handle.close();
  throw cannot('it is a folder');
}

async function emitEmbedded(invocation: Invocation, input: NodeJS.ReadableStream): Promise<number> {
  const { values } = loadInvocationSettings(invocation);
  const system = await EmbeddedSystem.open(values, pinoLogger(values.logLevel), prometheusMetrics());
  try {
    return await emit(invocation, friendlyCollector(system.collector), input);
  } finally {
    await system.close();
  }
}

async function emitToCluster(invocation: Invocation, settings: ClusterSettings, input: NodeJS.ReadableStream): Promise<number> {
  const signer = await readKey(settings, 'collector');
  const cluster = await openClusterReaders(settings);
  try {
    const { policy } = (await cluster.sources()).policies.latest;
    const spool = await openClusterCollector({ settings, cluster, policy, signer, name: 'emit' });
    try {
      const code = await emit(invocation, friendlyCollector(spool.collector), input);
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

/** Records each line; the exit code. */
async function emit({ options, terminal }: Invocation, collector: Collector, input: NodeJS.ReadableStream): Promise<number> {
  const say = options['quiet'] === true ? (): void => undefined : (id: string): void => void terminal.stdout.write(`${id}\n`);
  const pending = new Set<Promise<void>>();
  let number = 0;
  let unusable = 0;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (terminal.signal.aborted) break;
    if (line.trim() === '') continue;
    const at = number;
    const refuse = (reason: string): void => {
      unusable++;
      terminal.stderr.write(`lineproof: line ${at} was not recorded: ${reason}\n`);
    };
    const event = parseLine(line, refuse);
    if (event === undefined) continue;
    const recorded = record(collector, event, say, refuse);
    pending.add(recorded);
    void recorded.then(() => pending.delete(recorded));
    if (pending.size >= IN_FLIGHT) await Promise.race(pending);
  }
  await Promise.all(pending);
  return unusable === 0 ? EXIT.ok : EXIT.findings;
}

async function record(collector: Collector, event: EventInput, say: (id: string) => void, refuse: (reason: string) => void): Promise<void> {
  try {
    say(await collector.recordDurably(event));
  } catch (error) {
    if (!(error instanceof LineproofError)) throw error;
    if (hasCode(error, 'CLOSED')) throw error;
    refuse(error.message);
  }
}

function parseLine(line: string, refuse: (reason: string) => void): EventInput | undefined {
  if (line.length > MAX_LINE) {
    refuse(`it is longer than ${MAX_LINE} characters`);
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    refuse('it is not JSON');
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse('it is not a JSON object');
    return undefined;
  }
  const { occurredAt, ...rest } = value as Record<string, unknown>;
  return {
    ...rest,
    ...(occurredAt === undefined ? {} : { occurredAt: new Date(typeof occurredAt === 'string' ? occurredAt : Number.NaN) }),
  } as unknown as EventInput;
}
