import { compileSchema } from '../../core/avro/schema.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import type { Event } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { encodeEnvelope } from '../../core/keys/dsse.ts';
import { testSigner } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import type { Attack, Results } from './attack.ts';
import { changed, planted } from './forging.ts';
import { scenePolicy } from './stage.ts';

/** Events without a check of their rules. */
const EVENT = compileSchema<Event>(JSON.parse(EVENT_SCHEMA.text));
const NOTE = 'ARCHIVE UNKNOWN_OBJECT';

const named = (name: string, object: string): Attack => ({ name, keys: ['archive'], alter: planted(object, utf8('x')), seen: NOTE });

/** Names of objects that try to be somewhere or something else. */
const OBJECTS: readonly Attack[] = [
  named('name-with-a-way-up', '../outside'),
  named('name-with-a-way-up-inside', 'logs/0/../1/checkpoint'),
  named('name-from-the-root', '/etc/passwd'),
  named('name-of-another-system', 'C:\\archive\\checkpoint'),
  named('name-with-control-characters', 'logs/0/\u001b[2J\u001b[31mcheckpoint'),
  named('name-with-a-line-end', 'logs/0/checkpoint\nVERDICT: OK'),
  named('name-that-turns-the-direction', 'logs/0/\u202etniopkcehc'),
  named('name-with-a-look-alike', 'logs/0/ch\u0435ckpoint'),
  named('name-with-capitals', 'LOGS/0/CHECKPOINT'),
  named('name-with-a-leading-zero', 'logs/00/checkpoint'),
  named('name-of-a-shard-near-2-53', 'logs/9007199254740991/checkpoint'),
  named('name-of-a-shard-beyond', 'logs/99999999999999999999/checkpoint'),
  named('name-of-a-negative-shard', 'logs/-1/checkpoint'),
  named('name-of-a-prototype', '__proto__'),
  named('name-with-a-slash-at-the-end', 'logs/0/checkpoint/'),
  named('name-of-1-KiB', `logs/0/${'x'.repeat(1024)}`),
  named('name-of-a-tile-in-another-spelling', 'logs/0/tile/0/x000/000.p/1'),
  named('name-of-a-note-with-a-leading-zero', 'logs/0/checkpoints/07'),
  named('name-of-a-tile-of-no-leaves', 'logs/0/tile/0/000.p/0'),
  named('name-of-a-tile-of-level-64', 'logs/0/tile/64/000'),
  named('name-of-a-digest-in-capitals', `policies/${'A'.repeat(64)}.json`),
];

const ODD = ['\u{1F600}', '\uFF21'].map((word) => testSigner(`example.org/log/${word}`));

/** Producers and streams with odd names, none of which is a fault. */
const WORDS: readonly Attack[] = [
  {
    name: 'producers-beyond-the-basic-plane',
    keys: ['producer'],
    policy: (policy) => {
      const scene = scenePolicy(policy);
      const entries = ODD.map(({ verifierKey }) => ({ ...required(scene.producers[0]), key: verifierKey }));
      return { ...scene, producers: [...scene.producers, ...entries] };
    },
    play: async (stage) => {
      for (const [i, signer] of ODD.entries())
        await stage.block([await stage.world.lane(`odd ${i}`, signer).next(stage.world.events('a', `odd ${i}`))]);
    },
    seen: 'COMPLETE LANE_OPEN',
    open: 'COMPLETE',
  },
  ...(
    [
      ['stream-that-turns-the-direction', 'a\u202e', null],
      ['stream-with-a-line-end', 'a\nVERDICT: OK', null],
      ['stream-without-a-name', '', null],
      ['stream-of-257-bytes', 'x'.repeat(257), null],
      ['stream-of-the-system', 'lineproof/attest/0', null],
      ['stream-of-a-prototype', '__proto__', null],
    ] as const
  ).map(
    ([name, stream, seen]): Attack => ({
      name,
      keys: ['producer'],
      play: async (stage) => stage.block([await stage.wide.lanes[0].next([EVENT.encode(stage.world.event(stream, 'x'))])]),
      seen,
    }),
  ),
];

const MALFORMED: Results = { failed: 'ARCHIVE' };
const deep = (depth: number): Uint8Array => utf8(`${'['.repeat(depth)}${']'.repeat(depth)}`);

/** Objects that are made to cost a reader much. */
const COSTLY: readonly Attack[] = [
  {
    name: 'contents-nested-deep',
    keys: ['archive'],
    alter: changed(/^archive\.json$/, () => deep(100_000)),
    seen: 'ARCHIVE ARCHIVE_JSON',
    ...MALFORMED,
  },
  {
    name: 'schema-nested-deep',
    keys: ['archive'],
    alter: planted(`schemas/${'7'.repeat(64)}.avsc`, deep(100_000)),
    seen: 'ARCHIVE SCHEMA_DIGEST',
    ...MALFORMED,
  },
  {
    name: 'policy-nested-deep',
    keys: ['archive'],
    alter: planted(`policies/${'7'.repeat(64)}.json`, deep(100_000)),
    seen: 'POLICY POLICY_INVALID',
    failed: 'POLICY',
  },
  {
    name: 'policy-nested-deep-in-an-envelope',
    keys: ['archive'],
    alter: planted(`policies/${'7'.repeat(64)}.json`, encodeEnvelope({ payloadType: 'policy', payload: deep(100_000), signatures: [] })),
    seen: 'POLICY POLICY_INVALID',
    failed: 'POLICY',
  },
  {
    name: 'policy-larger-than-a-policy',
    keys: ['archive'],
    alter: planted(`policies/${'7'.repeat(64)}.json`, new Uint8Array(5 * LIMITS.policyBytes)),
    seen: 'ARCHIVE TOO_LARGE',
    failed: 'ARCHIVE',
    // What is too large to be read is an object to the product, and a policy to the other verifier.
    differs: ['ARCHIVE OK FAILED', 'POLICY FAILED OK'],
  },
  {
    name: 'manifest-nested-deep',
    keys: ['archive'],
    alter: planted(`logs/0/segments/${'0'.repeat(18)}50-${'0'.repeat(18)}60.manifest.json`, deep(100_000)),
    seen: 'ARCHIVE MANIFEST_MALFORMED',
    ...MALFORMED,
  },
  {
    name: 'snapshot-of-garbage-at-no-segment',
    keys: ['archive'],
    alter: planted('logs/0/snapshots/3.json', deep(1000)),
    seen: 'ARCHIVE SNAPSHOT_WRONG',
    ...MALFORMED,
  },
  {
    name: 'thousands-of-strangers',
    keys: ['archive'],
    alter: (map) => {
      for (let i = 0; i < 5000; i++) map.set(`notes/${i}`, utf8('x'));
    },
    seen: NOTE,
  },
  {
    name: 'thousands-of-notes',
    keys: ['archive'],
    alter: (map) => {
      for (let i = 1000; i < 3000; i++) map.set(`logs/0/checkpoints/${i}`, utf8('x'));
    },
    seen: 'LOG NOTE_MALFORMED',
    failed: 'LOG',
  },
  {
    name: 'thousands-of-shards',
    keys: ['archive'],
    alter: (map) => {
      for (let i = 2; i < 2000; i++) map.set(`logs/${i}/checkpoint`, utf8('x'));
    },
    seen: NOTE,
  },
];

export const NAME_ATTACKS: readonly Attack[] = [...OBJECTS, ...WORDS, ...COSTLY];
