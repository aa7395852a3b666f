import { beforeEach, expect, test } from '@jest/globals';
import { NamedObjects } from '../../../archiver/named-objects.ts';
import { utf8 } from '../../../core/base/bytes.ts';
import type { Sources } from '../../../core/chain/governance-source.ts';
import { TOPICS } from '../../../core/ports/log.ts';
import { MemoryLog, MemoryObjectStore, testSources } from '../../support/memory.ts';
import { makeWorld, testSigner, type World } from '../../support/producer.ts';

const CONTENTS = 'archive.json';

let world: World;
let log: MemoryLog;
let sources: Sources;
let objects: MemoryObjectStore;

beforeEach(async () => {
  world = await makeWorld();
  log = new MemoryLog();
  sources = await testSources(world, log);
  objects = new MemoryObjectStore();
});

/** The log keys that the archive's table of contents names. */
function logsNamed(): unknown {
  return JSON.parse(new TextDecoder().decode(objects.objects.get(CONTENTS))).logs;
}

test('a table of contents that says something else is brought up to date', async () => {
  objects.objects.set(CONTENTS, utf8('{"logs":[]}'));
  await new NamedObjects(objects, sources).store();
  expect(logsNamed()).toEqual(world.logs.map(({ verifierKey }) => verifierKey));
});

test('a new log key is named as soon as the policy does', async () => {
  const named = new NamedObjects(objects, sources);
  await named.store();
  const second = testSigner(`${world.origin}/0`, 'second');
  await world.nextPolicy((policy) => ({
    ...policy,
    logs: [...policy.logs, { ...policy.logs[0], key: second.verifierKey } as (typeof policy.logs)[0]],
  }));
  await log.append(TOPICS.control, 0, [{ key: null, value: world.envelopes[1] as Uint8Array }]);
  await sources.refreshPolicies();
  await named.store();
  expect(logsNamed()).toEqual([...world.logs, second].map(({ verifierKey }) => verifierKey));
  expect(objects.objects.get(`policies/${world.policy.hex}.json`)).toEqual(world.envelopes[1]);
});

test('a table of contents that another archiver changes meanwhile is replaced at the next try', async () => {
  const { replace } = objects;
  let tries = 0;
  objects.replace = async (key, bytes, etag) => {
    if (++tries === 1) objects.objects.set(CONTENTS, utf8('{"logs":[]}'));
    return replace.call(objects, key, bytes, etag);
  };
  await new NamedObjects(objects, sources).store();
  expect([tries, logsNamed()]).toEqual([2, world.logs.map(({ verifierKey }) => verifierKey)]);
});

test('a table of contents that was stored is not asked for again', async () => {
  const named = new NamedObjects(objects, sources);
  await named.store();
  const asked: string[] = [];
  objects.get = async (key) => {
    asked.push(key);
    return undefined;
  };
  await named.store();
  expect(asked).toEqual([]);
});
