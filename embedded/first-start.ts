import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LineproofError } from '../core/base/errors.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { encodeEnvelope, signEnvelope } from '../core/keys/dsse.ts';
import { newPolicy } from '../core/policy/new-policy.ts';
import { encodePolicy } from '../core/policy/policy.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Settings } from '../settings/embedded-settings.ts';
import { type EmbeddedKeys, makeEmbeddedKeys } from './keys.ts';

/** Makes keys at the first start only; true if it made them. Throws KEY_UNREADABLE if there is a log without keys: they were lost, and new ones would not fit it. */
export async function makeKeysOnce({ data, origin, shards }: Settings): Promise<boolean> {
  const folder = join(data, 'keys');
  if (!existsSync(join(data, 'log'))) return makeEmbeddedKeys(folder, origin, shards);
  if (existsSync(folder)) return false;
  throw new LineproofError('KEY_UNREADABLE', `cannot read the keys in ${folder}: the folder is gone; restore it from its backup`);
}

/** Throws LOG_BEHIND if there is an archive but its log is empty: events in a new log would be lost when the old one is restored. */
export async function mustBeFirstStart(objects: ObjectStore, data: string): Promise<void> {
  for await (const { key } of objects.list('')) {
    throw new LineproofError(
      'LOG_BEHIND',
      `cannot start: the log in ${join(data, 'log')} is empty, but the archive beside it holds ${key}; restore the log from its backup`,
    );
  }
}

/** Signs the policy of a new system with its own root and appends it. */
export async function publishFirstPolicy(log: Log, keys: EmbeddedKeys, settings: Settings): Promise<void> {
  const policy = newPolicy({
    origin: keys.origin,
    shards: settings.shards,
    roots: [keys.root.verifierKey],
    producers: [{ key: keys.collector.verifierKey, streams: ['*', 'lineproof/*'] }],
    chainers: [keys.chainer.verifierKey],
    logs: keys.logs.map(({ verifierKey }) => verifierKey),
    schemas: [EVENT_SCHEMA.hex],
    dedupWindowMs: settings.dedupWindowMs,
    segmentMaxAgeMs: settings.segmentMaxAgeMs,
  });
  const envelope = await signEnvelope('policy', encodePolicy(policy), [keys.root]);
  await log.append(TOPICS.control, 0, [{ key: null, value: encodeEnvelope(envelope) }]);
}
