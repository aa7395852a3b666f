import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { kafkaClient } from '../adapters/kafka-client.ts';
import { kafkaGroupStatus } from '../adapters/kafka-group-status.ts';
import { checkKafkaTopics, kafkaAdmin } from '../adapters/kafka-topics.ts';
import { readKeyFile } from '../adapters/key-files.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { keysFolder, pinnedRoot } from '../cluster/keys.ts';
import { explainDedupIndex, openDedupIndex } from '../cluster/open-dedup-index.ts';
import { explainLog, kafkaSettings, topicPartitions } from '../cluster/open-log.ts';
import { checkObjectStore } from '../cluster/open-object-store.ts';
import { refusingRegistry } from '../cluster/open-registry.ts';
import type { ClusterReaders } from '../cluster/readers.ts';
import { ERROR_TRAITS, LineproofError } from '../core/base/errors.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { KeyEntry, Policy } from '../core/policy/policy-document.ts';
import { TOPICS } from '../core/ports/log.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { UNPINNED } from './command-settings.ts';

/** What one check found. `advice`: what to do about it. `unchecked`: it could not be looked at. */
export interface Diagnosis {
  readonly about: string;
  readonly result: 'ok' | 'warn' | 'fail' | 'unchecked';
  readonly text: string;
  readonly advice?: string;
}

/** What the checks look at. */
export interface Patient {
  readonly settings: ClusterSettings;
  readonly cluster: ClusterReaders;
  /** Whether somebody named the folder of the keys. */
  readonly beside: boolean;
}

/** A disk with less free space is told. */
const LEAST_FREE_BYTES = 1024 ** 3;
const WITHOUT_POLICY = 'needs the policy, which could not be read';

/** Checks everything that a service of this cluster needs, one after the other; none of them changes the log. Gives each diagnosis as soon as it is made. */
export async function* diagnose(patient: Patient): AsyncGenerator<Diagnosis> {
  const { settings, cluster } = patient;
  yield await checked('root key', async () => rootKey(patient));
  let sources: Sources | undefined;
  yield await checked(
    'policy',
    async () => {
      sources = await cluster.sources();
      const { origin, version, shards } = sources.policies.latest.policy;
      return ok(`Kafka gives version ${version} of ${origin}, ${shards} ${shards === 1 ? 'shard' : 'shards'}`);
    },
    () => explainLog(settings),
  );
  const policy = sources?.policies.latest.policy;
  yield await given('topics', policy, (known) => topics(patient, known));
  yield await given(
    'Redis',
    policy,
    (known) => redis(patient, known),
    () => explainDedupIndex(settings),
  );
  yield await given('registry', policy, () => registry(sources as Sources));
  yield await given('object store', policy, async ({ objectLock }) => {
    await checkObjectStore(settings, objectLock);
    const lock = objectLock === null ? 'no object lock is demanded' : `object lock ${objectLock.mode} of ${objectLock.days} days`;
    return ok(`s3://${settings.s3Bucket}/${settings.s3Prefix} takes conditional writes; ${lock}`);
  });
  for (const [name, group, topic] of [
    ['chainers', settings.chainGroup, TOPICS.events],
    ['archivers', settings.archiveGroup, TOPICS.chain],
  ] as const)
    yield await given(name, policy, (known) => owners(patient, known, group, topic));
  if (policy === undefined) yield { about: 'keys', result: 'unchecked', text: WITHOUT_POLICY };
  else yield* keys(settings, policy);
  yield await checked('disk', async () => disk(settings));
}

type Found = Omit<Diagnosis, 'about'>;

function ok(text: string): Found {
  return { result: 'ok', text };
}

function warning(text: string, advice: string): Found {
  return { result: 'warn', text, advice };
}

function failure(text: string, advice: string): Found {
  return { result: 'fail', text, advice };
}

/** Runs a check. An error of Lineproof is its diagnosis; `explain` may know what is behind it. */
async function checked(about: string, look: () => Promise<Found>, explain?: () => Promise<LineproofError | undefined>): Promise<Diagnosis> {
  try {
    return { about, ...(await look()) };
  } catch (error) {
    if (!(error instanceof LineproofError)) throw error;
    const behind = error.code === 'UNAVAILABLE' ? await explain?.() : undefined;
    const { message, code } = behind ?? error;
    const advice = ERROR_TRAITS[code].retryable
      ? 'bring it back, or correct its settings (docs/errors.md)'
      : 'correct what the message names (docs/errors.md)';
    return { about, ...failure(`${message} [${code}]`, advice) };
  }
}

/** Runs a check that needs the policy. */
async function given(
  about: string,
  policy: Policy | undefined,
  look: (policy: Policy) => Promise<Found>,
  explain?: () => Promise<LineproofError | undefined>,
): Promise<Diagnosis> {
  if (policy === undefined) return { about, result: 'unchecked', text: WITHOUT_POLICY };
  return checked(about, () => look(policy), explain);
}

function rootKey({ settings, beside }: Patient): Found {
  const key = pinnedRoot(settings, beside);
  return key === undefined ? warning(UNPINNED, 'give --root-key, or name the folder with root.pub by --keys') : ok(`pinned: ${key}`);
}

async function topics({ settings, cluster }: Patient, { shards }: Policy): Promise<Found> {
  const findings = await checkKafkaTopics(kafkaAdmin(kafkaSettings(settings), cluster.logger), topicPartitions(shards));
  const refused = findings.filter(({ severity }) => severity === 'refuse');
  const text = (refused.length > 0 ? refused : findings).map((finding) => `${finding.topic} ${finding.text}`).join('; ');
  if (refused.length > 0) return failure(text, 'see the table of topics in docs/cluster.md; lineproof topics check');
  return findings.length === 0 ? ok('as the services need them') : warning(text, 'lineproof topics check');
}

async function redis({ settings, cluster }: Patient, { origin, clockSkewMs }: Policy): Promise<Found> {
  const index = await openDedupIndex(settings, origin, cluster.logger);
  try {
    const before = systemClock.nowMicros();
    const theirs = await index.nowMicros();
    const after = systemClock.nowMicros();
    if (theirs === undefined) return ok('answers, and may not evict');
    const aheadMs = Math.round(Math.max(0, theirs - after, before - theirs) / 1000);
    const text = `answers, and may not evict; its clock differs from this one by ${aheadMs === 0 ? 'less than a round trip' : `${aheadMs} ms`}`;
    return aheadMs > clockSkewMs ? failure(text, `set the clocks: chainers hold their shards above ${clockSkewMs} ms`) : ok(text);
  } finally {
    await index.close();
  }
}

async function registry(sources: Sources): Promise<Found> {
  await refusingRegistry(() => sources.refreshSchemas());
  const { schemas } = sources.policies.latest.policy;
  const missing = schemas.filter((hex) => sources.eventSchema(hex) === undefined);
  if (missing.length > 0)
    return failure(
      `does not give ${missing.length} of ${schemas.length} event schemas in force: ${missing.join(', ')}`,
      'register them again',
    );
  return ok(`gives ${schemas.length === 1 ? 'the event schema' : `all ${schemas.length} event schemas`} in force`);
}

/** Which shards of a group no process works on. */
async function owners({ settings, cluster }: Patient, { shards }: Policy, group: string, topic: string): Promise<Found> {
  const { kafkaTopicPrefix } = settings;
  const status = await kafkaGroupStatus(
    kafkaClient(kafkaSettings(settings), cluster.logger),
    kafkaTopicPrefix + group,
    kafkaTopicPrefix + topic,
  );
  const names = new Set<string>();
  let alone = 0;
  for (let shard = 0; shard < shards; shard++) {
    const owner = status.get(shard)?.owner;
    if (owner === undefined) alone++;
    else names.add(owner);
  }
  if (alone > 0)
    return warning(`no process of ${group} works on ${alone} of ${shards} shards`, 'start it, or wait if it joins its group just now');
  return ok(`${[...names].toSorted().join(', ')} ${names.size === 1 ? 'works' : 'work'} on all ${shards} shards`);
}

/** The key files that are here: readable, and ACTIVE in their role. */
async function* keys(settings: ClusterSettings, policy: Policy): AsyncGenerator<Diagnosis> {
  const folder = keysFolder(settings);
  const roles = keyRoles(policy).filter(([name]) => existsSync(join(folder, `${name}.key`)));
  if (roles.length === 0) yield { about: 'keys', result: 'unchecked', text: `there are none in ${folder}` };
  for (const [name, entries] of roles) yield await checked(`key ${name}`, () => keyOf(folder, name, entries));
}

/** The name of each key file, and the entries of the policy that may hold its key: a log key is of one shard. */
function keyRoles({ origin, shards, producers, chainers, logs }: Policy): (readonly [string, readonly KeyEntry[]])[] {
  const ofShard = (shard: number): readonly KeyEntry[] => logs.filter(({ key }) => parseVerifierKey(key).name === `${origin}/${shard}`);
  const own = Array.from({ length: shards }, (_, shard) => [`log-${shard}`, ofShard(shard)] as const);
  return [['collector', producers], ['chainer', chainers], ...own];
}

async function keyOf(folder: string, name: string, entries: readonly KeyEntry[]): Promise<Found> {
  const { verifierKey } = await readKeyFile(join(folder, `${name}.key`));
  const entry = entries.find(({ key }) => key === verifierKey);
  const advice = 'use another key, or publish a policy that lists this one (lineproof policy publish)';
  if (entry === undefined) return failure(`${verifierKey} is not in the newest policy in this role`, advice);
  return entry.status === 'ACTIVE' ? ok('ACTIVE in the newest policy') : failure(`${entry.status} in the newest policy`, advice);
}

function disk({ data }: ClusterSettings): Found {
  if (!existsSync(data)) return { result: 'unchecked', text: `there is no ${data} yet` };
  const { bavail, bsize } = statfsSync(data);
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GiB are free below ${data}`;
  return free < LEAST_FREE_BYTES ? warning(text, 'free some: spools and derived state need room') : ok(text);
}
