import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomBytes } from '#crypto';
import { readKeyFile, writeKeyFile } from '../adapters/key-files.ts';
import { encodeEnvelope, signEnvelope } from '../core/dsse.ts';
import { LineproofError } from '../core/errors.ts';
import { EVENT_SCHEMA } from '../core/event-schema.ts';
import { encodePolicy, newPolicy, type Policy } from '../core/policy.ts';
import { TOPICS } from '../core/ports/log.ts';
import type { Signer } from '../core/ports/signer.ts';
import { type ClusterReaders, openClusterReaders, registerSchemas } from './cluster.ts';
import { keysFolder, pinnedRoot, privateFolder } from './cluster-keys.ts';
import { CLUSTER_SETTINGS, type ClusterSettings } from './cluster-settings.ts';
import { type Command, type Invocation, stringOption, stringOptions } from './command.ts';
import { makeEmbeddedKeys, readEmbeddedKeys } from './embedded-keys.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings } from './invocation-settings.ts';
import { shardsOption } from './topics-command.ts';

/** `lineproof policy init|show`. */
export const policyCommand: Command = {
  name: 'policy',
  summary: 'Make the first policy of a cluster and its keys, or show the newest',
  usage: 'policy init [--origin NAME] [--shards N] [--producer NAME]... | policy show [OPTIONS]',
  options: [
    { name: 'origin', type: 'string', value: 'NAME', help: 'name of the log, which never changes (local/<8 hex of the root key>)' },
    { name: 'shards', type: 'string', value: 'N', help: 'shards of the log, a number that never changes (16)' },
    {
      name: 'producer',
      type: 'string',
      multiple: true,
      value: 'NAME',
      help: 'one more producer beside collector, with a key of its own, NAME.key; may be repeated',
    },
    {
      name: 'segment-max-age-ms',
      type: 'string',
      value: 'MS',
      help: "age at which a segment of the archive closes (the format's default: 3600000)",
    },
    {
      name: 'dedup-window-ms',
      type: 'string',
      value: 'MS',
      help: "how long a repeated event is recognised (the format's default: 3600000)",
    },
    { name: 'json', type: 'boolean', help: 'print JSON' },
  ],
  settings: CLUSTER_SETTINGS,
  notes: [
    'init makes root.key, collector.key, chainer.key and log-<shard>.key where there are no keys, registers the schemas, and publishes version 1.',
    'Then give each service the one key that it needs, and keep root.key away from all of them. A producer finds its key as collector.key.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const [action, ...more] = invocation.operands;
    if ((action !== 'init' && action !== 'show') || more.length > 0) throw new LineproofError('USAGE', 'policy takes init or show');
    const { values } = loadClusterSettings(invocation);
    const cluster = await openClusterReaders(values);
    try {
      return action === 'init' ? await init(invocation, values, cluster) : await show(invocation, values, cluster);
    } finally {
      await cluster.close();
    }
  },
};

async function init(invocation: Invocation, settings: ClusterSettings, cluster: ClusterReaders): Promise<number> {
  if ((await cluster.log.bounds(TOPICS.control, 0)).end > 0)
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot publish a first policy: ${TOPICS.control} holds something already; see lineproof policy show`,
    );
  const shards = shardsOption(invocation);
  const names = producerNames(invocation);
  const folder = keysFolder(settings);
  privateFolder(dirname(folder));
  await makeEmbeddedKeys(folder, stringOption(invocation, 'origin') ?? '', shards);
  const keys = await readEmbeddedKeys(folder, shards);
  const more = await makeProducerKeys(folder, keys.origin, names);
  const segmentMaxAgeMs = milliseconds(invocation, 'segment-max-age-ms');
  const dedupWindowMs = milliseconds(invocation, 'dedup-window-ms');
  const policy = newPolicy({
    origin: keys.origin,
    shards,
    roots: [keys.root.verifierKey],
    producers: [keys.collector, ...more].map(({ verifierKey }) => ({ key: verifierKey, streams: ['*', 'lineproof/*'] })),
    chainers: [keys.chainer.verifierKey],
    logs: keys.logs.map(({ verifierKey }) => verifierKey),
    schemas: [EVENT_SCHEMA.hex],
    ...(segmentMaxAgeMs === undefined ? {} : { segmentMaxAgeMs }),
    ...(dedupWindowMs === undefined ? {} : { dedupWindowMs }),
  });
  await registerSchemas(cluster.registry);
  const envelope = await signEnvelope('policy', encodePolicy(policy), [keys.root]);
  await cluster.log.append(TOPICS.control, 0, [{ key: null, value: encodeEnvelope(envelope) }]);
  const { stdout } = invocation.terminal;
  if (invocation.options['json'] === true) stdout.write(`${JSON.stringify(policy, undefined, 2)}\n`);
  else stdout.write(`Published version 1 for ${policy.origin} with ${shards} shards\nPin this key: ${keys.root.verifierKey}\n`);
  return EXIT.ok;
}

const PRODUCER = /^[a-z][a-z0-9._-]{0,62}$/;
/** Names that other keys of the folder have. */
const TAKEN = /^(root|collector|chainer|log-\d+)$/;

/** The further producers on the command line. Throws USAGE. */
function producerNames(invocation: Invocation): readonly string[] {
  const names = stringOptions(invocation, 'producer');
  for (const name of names) {
    if (!PRODUCER.test(name) || TAKEN.test(name))
      throw new LineproofError(
        'USAGE',
        `--producer is ${JSON.stringify(name)}: it must be lower-case letters, digits, dots and dashes, and no other key's name`,
      );
  }
  if (new Set(names).size < names.length) throw new LineproofError('USAGE', '--producer names one producer twice');
  return names;
}

/** A key for each producer that has none yet. */
async function makeProducerKeys(folder: string, origin: string, names: readonly string[]): Promise<readonly Signer[]> {
  const signers: Signer[] = [];
  for (const name of names) {
    const path = join(folder, `${name}.key`);
    if (!existsSync(path)) await writeKeyFile(path, { name: `${origin}/${name}`, seed: randomBytes(32) });
    signers.push(await readKeyFile(path));
  }
  return signers;
}

/** A duration on the command line; what it may be is for the policy to say. Throws USAGE. */
function milliseconds(invocation: Invocation, name: string): number | undefined {
  const given = stringOption(invocation, name);
  if (given === undefined) return undefined;
  if (!/^\d{1,13}$/.test(given))
    throw new LineproofError('USAGE', `--${name} is ${JSON.stringify(given)}: it must be a whole number of milliseconds`);
  return Number(given);
}

async function show(invocation: Invocation, settings: ClusterSettings, cluster: ClusterReaders): Promise<number> {
  const sources = await cluster.sources();
  const { policy } = sources.policies.latest;
  const { stdout, stderr } = invocation.terminal;
  if (pinnedRoot(settings) === undefined)
    stderr.write('lineproof: no root key is pinned: whoever can write to the control topic could have made this policy\n');
  stdout.write(
    invocation.options['json'] === true
      ? `${JSON.stringify(policy, undefined, 2)}\n`
      : describe(policy, existsSync(join(keysFolder(settings), 'root.key'))),
  );
  return EXIT.ok;
}

function describe(policy: Policy, rootIsHere: boolean): string {
  const count = (keys: readonly { readonly status: string }[]): string =>
    `${keys.length} (${keys.filter(({ status }) => status === 'ACTIVE').length} ACTIVE)`;
  return `${[
    `origin     ${policy.origin}`,
    `version    ${policy.version}`,
    `shards     ${policy.shards}`,
    `roots      ${policy.roots.keys.join(', ')} (threshold ${policy.roots.threshold})`,
    `producers  ${count(policy.producers)}`,
    `chainers   ${count(policy.chainers)}`,
    `log keys   ${count(policy.logs)}`,
    `dedup      ${policy.dedupWindowMs / 1000} s`,
    `segments   close after ${policy.segmentMaxAgeMs / 1000} s at the latest`,
    ...(rootIsHere ? ['root.key is on this machine: keep it somewhere else'] : []),
  ].join('\n')}\n`;
}
