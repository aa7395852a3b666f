import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomBytes } from '#crypto';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { readKeyFile, writeKeyFile } from '../adapters/key-files.ts';
import { type PrometheusMetrics, prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { openHealthServer } from '../cluster/health-server.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { checkKeyName, formatVerifierKey, parseVerifierKey, type VerifierKey } from '../core/keys/key.ts';
import { KEY_TYPE } from '../core/keys/signature.ts';
import { parseWitnessPolicy } from '../core/keys/witness-policy.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Signer } from '../core/ports/signer.ts';
import { syncFolder } from '../platform/durable-file.ts';
import { takeFileLock } from '../platform/file-lock.ts';
import { isThere } from '../settings/small-file.ts';
import { typedKeyText } from '../settings/typed-key.ts';
import { WitnessCore } from '../witness/witness.ts';
import { openWitnessServer } from '../witness/witness-server.ts';
import { type Command, type Invocation, stringOption, stringOptions } from './command.ts';
import { commandLogger } from './command-log.ts';
import { clusterTable } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadSettings } from './invocation-settings.ts';
import { readWitnessFile } from './witness-policy-file.ts';

const SETTINGS = clusterTable(['logLevel', 'httpHost', 'httpPort']) as Pick<
  typeof import('../settings/cluster-settings.ts').CLUSTER_SETTINGS,
  'logLevel' | 'httpHost' | 'httpPort'
>;

/** `lineproof witness`: cosigns the checkpoints of others. */
export const witnessCommand: Command = {
  name: 'witness',
  summary: "Cosign the checkpoints of other people's logs, if they only grow",
  usage: ['witness --log KEY... [--logs FILE]... [--name NAME] [--state FOLDER] [--listen HOST:PORT]'],
  options: [
    {
      name: 'log',
      type: 'string',
      multiple: true,
      value: 'KEY',
      help: 'verifier key of a log to witness, or a file that holds it; may be repeated',
    },
    {
      name: 'logs',
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'a tlog-policy file: the logs of its log lines are witnessed; may be repeated',
    },
    { name: 'name', type: 'string', value: 'NAME', help: 'name of the key that the first start makes, such as example.com/witness' },
    { name: 'key-file', type: 'string', value: 'FILE', help: "the witness's private key (witness.key in the state folder)" },
    {
      name: 'state',
      type: 'string',
      value: 'FOLDER',
      help: 'folder of the key and of the newest cosigned note of each log (.lineproof-witness)',
    },
    { name: 'listen', type: 'string', value: 'HOST:PORT', help: 'address to serve on (127.0.0.1:9465)' },
  ],
  settings: SETTINGS,
  notes: [
    "Prints its line for a tlog-policy file, which the log's operator gives to lineproof policy publish --witness-policy, and runs until SIGINT or SIGTERM.",
    "Serves POST /add-checkpoint and GET /<hex SHA-256 of the log's name>/checkpoint, as C2SP tlog-witness says. Put TLS in front of it where others reach it.",
    'A checkpoint is cosigned once it is on disk. Never set the state folder back and never copy it: a witness that forgets cosigns two histories.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 0) throw new LineproofError('USAGE', 'witness takes no arguments; name logs with --log or --logs');
    const logs = logKeys(invocation);
    const address = addressOf(invocation);
    const { values } = loadSettings(SETTINGS, invocation);
    const logger = commandLogger(values);
    const state = stringOption(invocation, 'state') ?? '.lineproof-witness';
    const otherwise = 'name the folder of another witness with --state';
    const lock = await takeFileLock({ folder: state, name: 'lock', subject: `state folder ${state}`, otherwise });
    try {
      const signer = await witnessKey(invocation, state);
      await serve({ logs, signer, state, address, logger, values }, invocation);
    } finally {
      await lock.release();
    }
    return EXIT.ok;
  },
};

interface WitnessService {
  readonly logs: readonly VerifierKey[];
  readonly signer: Signer;
  readonly state: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly logger: Logger;
  readonly values: { readonly httpHost: string; readonly httpPort: number };
}

async function serve({ logs, signer, state, address, logger, values }: WitnessService, { terminal }: Invocation): Promise<void> {
  const { signal, stdout } = terminal;
  const metrics = prometheusMetrics();
  const store = await openFolderObjectStore(join(state, 'notes'));
  const core = new WitnessCore({
    logs,
    store,
    signer,
    clock: systemClock,
    cosigned: (log, size) => metrics.set('lineproof_witness_cosigned_size', size, { log }),
  });
  let problem: string | undefined;
  const answered = (status: number, error?: unknown): void => {
    metrics.add('lineproof_witness_questions_total', 1, { status: String(status) });
    problem = error === undefined ? undefined : messageOf(error);
    if (problem !== undefined) logger.error(LOG.witnessCannotAnswer, { reason: problem });
  };
  const health = await openHealth(values, metrics, () => problem);
  try {
    const server = await openWitnessServer(core, { ...address, answered });
    const { name, verifierKey } = signer;
    const key = formatVerifierKey(name, KEY_TYPE.cosignature, parseVerifierKey(verifierKey).publicKey);
    stdout.write(`witness ${name} ${key} http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${server.port}\n`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await server.close();
  } finally {
    await health.close();
    await store.close();
  }
}

function openHealth(
  { httpHost, httpPort }: WitnessService['values'],
  metrics: PrometheusMetrics,
  problem: () => string | undefined,
): ReturnType<typeof openHealthServer> {
  return openHealthServer({ host: httpHost, port: httpPort }, metrics, { alive: () => undefined, ready: problem });
}

/** The keys of the logs to witness. Throws USAGE. */
function logKeys(invocation: Invocation): readonly VerifierKey[] {
  const typed = stringOptions(invocation, 'log').map((text) => {
    try {
      return parseVerifierKey(typedKeyText(text));
    } catch (error) {
      throw new LineproofError(
        'USAGE',
        `--log ${JSON.stringify(text.slice(0, 200))} is neither a verifier key nor a file that holds one`,
        {},
        error,
      );
    }
  });
  const files = stringOptions(invocation, 'logs').flatMap((path) =>
    readWitnessFile('--logs', path, parseWitnessPolicy).logs.map(({ key }) => key),
  );
  const keys = [...typed, ...files];
  if (keys.length === 0) throw new LineproofError('USAGE', 'witness needs a log: give --log KEY, or --logs FILE with log lines');
  const bad = keys.find(({ type }) => type !== KEY_TYPE.ed25519);
  if (bad !== undefined) throw new LineproofError('USAGE', `${bad.text} is not the key of a log`);
  return [...new Map(keys.map((key) => [key.text, key])).values()];
}

function addressOf(invocation: Invocation): WitnessService['address'] {
  const given = stringOption(invocation, 'listen') ?? '127.0.0.1:9465';
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(given);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new LineproofError('USAGE', `--listen is ${JSON.stringify(given)}: it must be HOST:PORT`);
  return { host: match[1] ?? match[2] ?? '', port };
}

/**
 * The witness's key; made at the first start, and the folder of its notes after it. Throws KEY_UNREADABLE if there are notes without their key, and CONFIG_INVALID if
 * there is a key without that folder: it may have cosigned what is forgotten now.
 */
async function witnessKey(invocation: Invocation, state: string): Promise<Signer> {
  const path = stringOption(invocation, 'key-file') ?? join(state, 'witness.key');
  const notes = join(state, 'notes');
  const name = stringOption(invocation, 'name');
  if (!isThere(path)) await makeKey(path, notes, name);
  else if (!isThere(notes))
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot witness with ${path}: its notes are gone from ${notes}, and a witness that forgot them could cosign a second history; make another key under another name, or, if this one never cosigned anything, the folder ${notes}`,
      { path: notes },
    );
  const signer = await readKeyFile(path);
  if (name !== undefined && name !== signer.name)
    throw new LineproofError('USAGE', `--name is ${name}, and ${path} is the key of ${signer.name}: a witness keeps its name`);
  return signer;
}

async function makeKey(path: string, notes: string, name: string | undefined): Promise<void> {
  if (isThere(notes))
    throw new LineproofError('KEY_UNREADABLE', `cannot read ${path}: it is gone, and notes are there; restore it from its backup`, {
      path,
    });
  if (name === undefined) throw new LineproofError('USAGE', `there is no ${path} yet: give --name for the key that is made now`);
  try {
    checkKeyName(name);
  } catch (error) {
    throw new LineproofError('USAGE', `--name ${JSON.stringify(name)}: ${messageOf(error)}`, {}, error);
  }
  await writeKeyFile(path, { name, seed: randomBytes(32) });
  mkdirSync(notes);
  await syncFolder(dirname(notes));
}
