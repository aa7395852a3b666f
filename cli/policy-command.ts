import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomBytes } from '#crypto';
import { readKeyFile, writeKeyFile } from '../adapters/key-files.ts';
import { keysFolder, privateFolder } from '../cluster/keys.ts';
import {
  newProducers,
  nextPolicy,
  policyChanges,
  publishPolicy,
  readPolicyFile,
  readRootKeys,
  signPolicy,
} from '../cluster/policy-publication.ts';
import { type ClusterReaders, openClusterReaders } from '../cluster/readers.ts';
import { LineproofError } from '../core/base/errors.ts';
import { counted } from '../core/base/terminal-text.ts';
import { registerSchemas } from '../core/chain/registered-schemas.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { encodeEnvelope, signEnvelope } from '../core/keys/dsse.ts';
import { newPolicy } from '../core/policy/new-policy.ts';
import { encodePolicy } from '../core/policy/policy.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import { TOPICS } from '../core/ports/log.ts';
import type { Signer } from '../core/ports/signer.ts';
import { makeEmbeddedKeys, readEmbeddedKeys } from '../embedded/keys.ts';
import { type Command, type Invocation, stringOption, stringOptions } from './command.ts';
import { clusterSettings, SERVERS } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings } from './invocation-settings.ts';
import { openPolicyPlace, type PolicyPlace } from './policy-place.ts';
import { shardsOption } from './topics-command.ts';
import { describeWitnessing, tlogPolicyOf, WITNESSING_OPTIONS, witnessingOption } from './witnessing-options.ts';

/** `lineproof policy init|show|publish`: of a cluster, or but for init of an embedded system. */
export const policyCommand: Command = {
  name: 'policy',
  summary: 'Show the newest policy, publish the next, or make the first one of a cluster and its keys',
  usage: [
    'policy init [--origin NAME] [--shards N] [--producer NAME]... [OPTIONS]',
    'policy show [--embedded] [--json | --tlog-policy] [OPTIONS]',
    'policy publish [--embedded] [FILE] [--producer NAME]... [--witness-policy FILE] [--sign-with FILE]... [--dry-run]',
  ],
  options: [
    {
      name: 'embedded',
      type: 'boolean',
      help: 'show, publish: the policy of the embedded system of the data folder, also beside a running start',
    },
    {
      name: 'origin',
      type: 'string',
      value: 'NAME',
      help: 'name of the system of logs, which never changes (local/<8 hex of the root key>)',
    },
    { name: 'shards', type: 'string', value: 'N', help: 'shards of the log, a number that never changes (16)' },
    {
      name: 'producer',
      type: 'string',
      multiple: true,
      value: 'NAME',
      help: 'one more producer beside collector, with the key NAME.key; may be repeated',
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
    {
      name: 'sign-with',
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'publish: a root key to sign with; may be repeated, where the policy wants several (root.key)',
    },
    ...WITNESSING_OPTIONS,
    { name: 'dry-run', type: 'boolean', help: 'publish: check everything and print what would change' },
    { name: 'json', type: 'boolean', help: 'print JSON' },
    { name: 'tlog-policy', type: 'boolean', help: 'show: print the log keys and witnesses as a tlog-policy file' },
  ],
  ...clusterSettings(['data', 'keys', 'rootKey', 'name', 'logLevel', ...SERVERS.kafka, ...SERVERS.registry]),
  lists: ([action]) => action === 'show',
  notes: [
    'init makes root.key, collector.key, chainer.key and log-<shard>.key where there are no keys, registers the schemas, and publishes version 1.',
    'Then give each service only the keys that it needs, and keep root.key away from all of them. A producer finds its key as collector.key.',
    'publish needs root.key. FILE is the output of show --json, edited. The command numbers and signs it; services, and a running start, apply it by themselves.',
    'The first policy of an embedded system is made by its first start, with its keys in the data folder.',
    'Keys are never removed: set their "status" to "RETIRED" or "COMPROMISED". Origin and shards never change.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const [name = '', ...more] = invocation.operands;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action === undefined || more.length > (name === 'publish' ? 1 : 0))
      throw new LineproofError('USAGE', 'policy takes init, show, or publish with at most one file');
    return action(invocation);
  },
};

const ACTIONS: Readonly<Record<string, (invocation: Invocation) => Promise<number>>> = { init, show, publish };

async function init(invocation: Invocation): Promise<number> {
  if (invocation.options['embedded'] === true)
    throw new LineproofError('USAGE', 'policy init is for a cluster: lineproof start makes the first policy of an embedded system');
  const { values } = loadClusterSettings(invocation);
  const cluster = await openClusterReaders(values);
  try {
    return await publishFirst(invocation, keysFolder(values), cluster);
  } finally {
    await cluster.close();
  }
}

async function publishFirst(invocation: Invocation, folder: string, cluster: ClusterReaders): Promise<number> {
  if ((await cluster.log.bounds(TOPICS.control, 0)).end > 0)
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot publish a first policy: ${TOPICS.control} holds something already; see lineproof policy show`,
    );
  const shards = shardsOption(invocation);
  const names = producerNames(invocation);
  privateFolder(dirname(folder));
  await makeEmbeddedKeys(folder, stringOption(invocation, 'origin') ?? '', shards);
  const keys = await readEmbeddedKeys(folder, shards);
  const more = await makeProducerKeys(folder, keys.origin, names);
  const policy = newPolicy({
    origin: keys.origin,
    shards,
    roots: [keys.root.verifierKey],
    producers: [keys.collector, ...more].map(({ verifierKey }) => ({ key: verifierKey, streams: ALL_STREAMS })),
    chainers: [keys.chainer.verifierKey],
    logs: keys.logs.map(({ verifierKey }) => verifierKey),
    schemas: [EVENT_SCHEMA.hex],
    ...times(invocation),
    ...witnessingOption(invocation, null),
  });
  await registerSchemas(cluster.registry);
  const envelope = await signEnvelope('policy', encodePolicy(policy), [keys.root]);
  await cluster.log.append(TOPICS.control, 0, [{ key: null, value: encodeEnvelope(envelope) }]);
  const { stdout } = invocation.terminal;
  if (invocation.options['json'] === true) stdout.write(`${JSON.stringify(policy, undefined, 2)}\n`);
  else stdout.write(`Published version 1 for ${policy.origin} with ${counted(shards, 'shard')}\nPin this key: ${keys.root.verifierKey}\n`);
  return EXIT.ok;
}

const ALL_STREAMS = ['*', 'lineproof/*'];

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
        `--producer is ${JSON.stringify(name)}: it must be lower-case letters, digits, dots, dashes and underscores, and no other key's name`,
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
    const signer = await readKeyFile(path);
    if (signer.name !== `${origin}/${name}`)
      throw new LineproofError('CONFIG_INVALID', `cannot admit ${name}: ${path} holds the key of ${signer.name}`, { path });
    signers.push(signer);
  }
  return signers;
}

/** Times of a policy that the command line names. */
function times(invocation: Invocation): { readonly segmentMaxAgeMs?: number; readonly dedupWindowMs?: number } {
  const segmentMaxAgeMs = milliseconds(invocation, 'segment-max-age-ms');
  const dedupWindowMs = milliseconds(invocation, 'dedup-window-ms');
  return { ...(segmentMaxAgeMs === undefined ? {} : { segmentMaxAgeMs }), ...(dedupWindowMs === undefined ? {} : { dedupWindowMs }) };
}

/** A duration on the command line; the policy checks its range. Throws USAGE. */
function milliseconds(invocation: Invocation, name: string): number | undefined {
  const given = stringOption(invocation, name);
  if (given === undefined) return undefined;
  if (!/^\d{1,13}$/.test(given))
    throw new LineproofError('USAGE', `--${name} is ${JSON.stringify(given)}: it must be a whole number of milliseconds`);
  return Number(given);
}

async function show(invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation;
  const place = await openPolicyPlace(invocation, true, false);
  try {
    const { policy } = (await place.sources()).policies.latest;
    if (options['tlog-policy'] === true) terminal.stdout.write(tlogPolicyOf(policy));
    else if (options['json'] === true) terminal.stdout.write(`${JSON.stringify(policy, undefined, 2)}\n`);
    else terminal.stdout.write(describe(policy, place.keepsRootAway && existsSync(join(place.keys, 'root.key'))));
    return EXIT.ok;
  } finally {
    await place.close();
  }
}

async function publish(invocation: Invocation): Promise<number> {
  const dry = invocation.options['dry-run'] === true;
  if (dry && producerNames(invocation).length > 0)
    throw new LineproofError('USAGE', '--producer makes keys: it does not go with --dry-run');
  if (['origin', 'shards'].some((name) => stringOption(invocation, name) !== undefined))
    throw new LineproofError('USAGE', 'origin and shards never change: --origin and --shards are for policy init');
  const place = await openPolicyPlace(invocation, false, !dry);
  try {
    return await publishAt(place, invocation, dry);
  } finally {
    await place.close();
  }
}

async function publishAt(place: PolicyPlace, invocation: Invocation, dry: boolean): Promise<number> {
  const { stdout, stderr } = invocation.terminal;
  const [, path] = invocation.operands;
  const roots = await readRootKeys(place.keys, stringOptions(invocation, 'sign-with'));
  const sources = await place.sources();
  const { latest } = sources.policies;
  const edited = path === undefined ? latest.policy : readPolicyFile(path);
  const more = await makeProducerKeys(place.keys, latest.policy.origin, producerNames(invocation));
  const keys = more.map(({ verifierKey }) => verifierKey);
  const added = newProducers(latest.policy, keys, ALL_STREAMS);
  const policy = nextPolicy(latest, {
    ...edited,
    ...times(invocation),
    ...witnessingOption(invocation, edited.witnessing),
    producers: [...edited.producers, ...added],
  });
  const envelope = await signPolicy(sources.policies, policy, roots);
  const changes = policyChanges(latest.policy, policy);
  if (changes.length === 0) {
    stderr.write(`lineproof: nothing to publish: version ${latest.policy.version} says the same\n`);
    return EXIT.ok;
  }
  if (!dry) await publishPolicy(place.log, sources, envelope);
  if (invocation.options['json'] === true) stdout.write(`${JSON.stringify(policy, undefined, 2)}\n`);
  else stdout.write(`${changes.join('\n')}\n${dry ? 'Would publish' : 'Published'} version ${policy.version} of ${policy.origin}\n`);
  if (!dry && place.afterwards !== undefined) stderr.write(`lineproof: ${place.afterwards}\n`);
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
    `witnesses  ${describeWitnessing(policy.witnessing)}`,
    `segments   close after ${policy.segmentMaxAgeMs / 1000} s at the latest`,
    ...(rootIsHere ? ['root.key is on this machine: keep it somewhere else'] : []),
  ].join('\n')}\n`;
}
