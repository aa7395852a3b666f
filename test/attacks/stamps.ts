import { utf8, utf8Text } from '../../core/base/bytes.ts';
import { DER_TAG, encodeDer } from '../../core/base/der.ts';
import type { Policy, StampAuthority } from '../../core/policy/policy-document.ts';
import {
  attribute,
  ESS_V2,
  extension,
  IS_CA,
  makeCertificate,
  makeStamp,
  octets,
  SHA1,
  STAMPING,
  type StampChain,
  type StampChanges,
  sequence,
  stampChain,
  usage,
} from '../support/forged-stamp.ts';
import { START_MICROS } from '../support/producer.ts';
import { required, SECOND } from '../support/rich-archive.ts';
import { authorityOf, stamping } from '../support/stamp-policy.ts';
import type { Alter, Attack } from './attack.ts';
import { type Stage, scenePolicy } from './stage.ts';

/** The authority that the scene's policy names, and one that it does not. */
const CHAIN = stampChain();
const STRANGER = stampChain();
const DAY = 86_400 * SECOND;
const END = /^logs\/[01]\/checkpoint$/;
const MIDDLE = /^logs\/[01]\/checkpoints\/\d+$/;

const listing =
  (changes: Partial<StampAuthority> = {}) =>
  (policy: Policy): Policy =>
    stamping(scenePolicy(policy), authorityOf(CHAIN, changes));

/** Text of a stored note, with its size and shard. */
function noteAt(
  map: ReadonlyMap<string, Uint8Array>,
  key: string,
): { readonly text: string; readonly size: number; readonly shard: string } {
  const note = utf8Text(required(map.get(key)));
  const text = note.slice(0, note.indexOf('\n\n') + 1);
  return { text, size: Number(text.split('\n')[1]), shard: required(key.split('/')[1]) };
}

/** Ten minutes after the start the first segments are closed, and the next blocks come an hour after them. */
const MIDDLE_TIME = START_MICROS + 600 * SECOND;
const endTime = (stage: Stage): number => stage.time + 4 * SECOND;

/** Stamps the notes whose names fit, at a time. */
function stampNotes(
  map: Map<string, Uint8Array>,
  names: RegExp,
  genTime: number,
  make: (text: string, genTime: number) => Uint8Array,
): void {
  for (const key of [...map.keys()].filter((name) => names.test(name))) {
    const { text, size, shard } = noteAt(map, key);
    map.set(`logs/${shard}/timestamps/${size}.tsa.tsr`, make(text, genTime));
  }
}

const honestStamp = (text: string, genTime: number): Uint8Array => makeStamp(text, CHAIN, { genTime });

/** Both shards stamped at the end of each segment, as an honest archiver does. */
const stampAll: Alter = (map, stage) => {
  stampNotes(map, MIDDLE, MIDDLE_TIME, honestStamp);
  stampNotes(map, END, endTime(stage), honestStamp);
};

/** Name of the time stamp over all leaves of shard 0. */
const last = (map: ReadonlyMap<string, Uint8Array>): string => `logs/0/timestamps/${noteAt(map, 'logs/0/checkpoint').size}.tsa.tsr`;

interface Forged {
  readonly chain?: StampChain;
  readonly changes?: StampChanges | ((stage: Stage) => StampChanges);
  /** Adds to the archive, or alters it otherwise, once the forged time stamp is there. */
  readonly more?: Alter;
}

type Rest = Partial<Omit<Attack, 'name' | 'alter'>>;

/** The time stamp over all leaves of shard 0 is another one. */
function forged(name: string, code: string, { chain = CHAIN, changes = {}, more }: Forged, rest: Rest = {}): Attack {
  return {
    name,
    keys: ['archive', 'authority'],
    policy: listing(),
    alter: async (map, stage) => {
      await stampAll(map, stage);
      const own = typeof changes === 'function' ? changes(stage) : changes;
      map.set(last(map), makeStamp(noteAt(map, 'logs/0/checkpoint').text, chain, { genTime: endTime(stage), ...own }));
      await more?.(map, stage);
    },
    time: 'FAILED',
    seen: `TIME ${code}`,
    ...rest,
  };
}

/** The same by somebody who can only write the archive. */
function altered(name: string, seen: string | null, alter: Alter, rest: Rest = {}): Attack {
  return {
    name,
    keys: ['archive'],
    policy: listing(),
    alter: async (map, stage) => {
      await stampAll(map, stage);
      await alter(map, stage);
    },
    time: 'FAILED',
    seen,
    ...rest,
  };
}

const unfit = (name: string, ...extensions: readonly Uint8Array[]): Attack =>
  forged(`time-stamp-${name}`, 'STAMP_CERTIFICATE', { chain: underRoot(extensions) });

/** Another certificate for a signer under the real CA. */
function underRoot(extensions: readonly Uint8Array[], validity: { readonly from?: number; readonly to?: number } = {}): StampChain {
  return { ...CHAIN, signer: makeCertificate({ name: 'signer', issuer: CHAIN.middle, extensions, ...validity }) };
}

const SERVER = '1.3.6.1.5.5.7.3.1';
const ESS_V1 = attribute('1.2.840.113549.1.9.16.2.12', sequence(sequence(sequence(octets(new Uint8Array(20))))));
const withoutEss = (...more: readonly Uint8Array[]): StampChanges => ({
  attributes: ([type, digest]) => [required(type), required(digest), ...more],
});

const CERTIFICATES: readonly Attack[] = [
  unfit('without-eku'),
  unfit('with-an-eku-that-is-not-critical', usage(false, STAMPING)),
  unfit('with-two-ekus', usage(true, STAMPING, SERVER)),
  unfit('of-a-server', usage(true, SERVER)),
  unfit('of-a-ca', usage(true, STAMPING), extension('2.5.29.15', true, encodeDer(DER_TAG.bitString, Uint8Array.of(1, 0x86)))),
  unfit('with-an-unknown-critical-extension', usage(true, STAMPING), extension('1.2.3', true, octets(utf8('x')))),
  forged('time-stamp-without-ess-cert-id', 'STAMP_CERTIFICATE', { changes: withoutEss() }),
  forged('time-stamp-with-ess-cert-id-of-sha-1', 'STAMP_CERTIFICATE', { changes: withoutEss(ESS_V1) }),
  forged('time-stamp-with-the-ess-cert-id-of-another', 'STAMP_CERTIFICATE', { changes: { named: STRANGER.signer.der } }),
  forged('time-stamp-with-an-empty-ess-cert-id', 'STAMP_MALFORMED', { changes: withoutEss(attribute(ESS_V2)) }),
];

/** A certificate that the signer issued, as if it were a CA. */
const BELOW: StampChain = {
  ...CHAIN,
  middle: CHAIN.signer,
  signer: makeCertificate({ name: 'below', issuer: CHAIN.signer, extensions: [usage(true, STAMPING)] }),
};

const PATHS: readonly Attack[] = [
  forged('time-stamp-of-a-stranger', 'STAMP_ROOT', { chain: STRANGER }, { keys: ['archive'] }),
  forged(
    'time-stamp-of-a-stranger-with-its-root-in-the-archive',
    'STAMP_ROOT',
    {
      chain: STRANGER,
      changes: { certificates: [STRANGER.signer.der, STRANGER.middle.der, STRANGER.root.der] },
      more: (map) => {
        map.set(last(map).replace('.tsr', '.pem'), utf8(pem(STRANGER.root.der) + pem(STRANGER.middle.der)));
      },
    },
    { keys: ['archive'] },
  ),
  forged('time-stamp-after-the-certificate-expired', 'STAMP_ROOT', {
    chain: underRoot([usage(true, STAMPING)], { from: START_MICROS - 2 * DAY, to: START_MICROS - DAY }),
  }),
  forged('time-stamp-before-the-certificate-was-issued', 'STAMP_ROOT', {
    chain: underRoot([usage(true, STAMPING)], { from: START_MICROS + DAY, to: START_MICROS + 2 * DAY }),
  }),
  forged('time-stamp-under-a-certificate-that-is-not-a-ca', 'STAMP_ROOT', {
    chain: BELOW,
    changes: { certificates: [BELOW.signer.der, CHAIN.signer.der, CHAIN.middle.der] },
  }),
  forged('time-stamp-under-a-ca-for-servers', 'STAMP_ROOT', { chain: underCa([IS_CA, usage(true, SERVER)]) }),
  forged('time-stamp-of-a-root-that-the-policy-took-back', 'STAMP_ROOT', {}, { policy: listing({ roots: [] }) }),
];

function underCa(extensions: readonly Uint8Array[]): StampChain {
  const middle = makeCertificate({ name: 'middle', issuer: CHAIN.root, extensions });
  return { ...CHAIN, middle, signer: makeCertificate({ name: 'signer', issuer: middle, extensions: [usage(true, STAMPING)] }) };
}

function pem(der: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
}

const CONTENTS: readonly Attack[] = [
  forged('time-stamp-of-another-note', 'STAMP_IMPRINT', { changes: { imprint: new Uint8Array(32) } }),
  forged('time-stamp-by-sha-1', 'STAMP_IMPRINT', { changes: { imprintAlgorithm: SHA1, imprint: new Uint8Array(20) } }),
  forged('time-stamp-under-another-policy', 'STAMP_POLICY', {}, { policy: listing({ policies: ['1.2.3.4.9'] }) }),
  forged('time-stamp-that-was-refused', 'STAMP_REFUSED', { changes: { status: 2 } }),
  forged(
    'time-stamp-with-a-wrong-signature',
    'STAMP_SIGNATURE',
    { changes: { signature: (honest) => honest.toReversed() } },
    { keys: ['archive'] },
  ),
  forged('time-stamp-of-two-signers', 'STAMP_MALFORMED', { changes: { signers: (one) => [one, one] } }),
  forged('time-stamp-with-an-attribute-twice', 'STAMP_MALFORMED', { changes: { attributes: (all) => [...all, required(all[1])] } }),
  forged('time-stamp-with-an-unknown-critical-part', 'STAMP_MALFORMED', {
    changes: { parts: [encodeDer(0xa1, extension('1.2.3', true, octets(utf8('x'))))] },
  }),
  altered('time-stamp-used-again-for-more-leaves', 'TIME STAMP_IMPRINT', (map) => {
    const middle = required([...map.keys()].find((key) => key.startsWith('logs/0/timestamps/') && key !== last(map)));
    map.set(last(map), required(map.get(middle)));
  }),
  altered('time-stamp-of-the-other-shard', 'TIME STAMP_IMPRINT', (map) => {
    const { size } = noteAt(map, 'logs/1/checkpoint');
    map.set(last(map), required(map.get(`logs/1/timestamps/${size}.tsa.tsr`)));
  }),
  altered('time-stamp-of-a-size-where-no-block-ends', 'TIME STAMP_IMPRINT', (map) => {
    map.set('logs/0/timestamps/1.tsa.tsr', required(map.get(last(map))));
  }),
  altered('time-stamp-with-a-turned-bit', 'TIME STAMP_SIGNATURE', (map) => {
    const turned = required(map.get(last(map))).slice();
    turned[turned.length - 1] = required(turned.at(-1)) ^ 1;
    map.set(last(map), turned);
  }),
  altered('time-stamp-of-junk', 'TIME STAMP_MALFORMED', (map) => void map.set(last(map), utf8('junk'))),
  altered('time-stamp-of-an-endless-nest', 'TIME STAMP_MALFORMED', (map) => void map.set(last(map), new Uint8Array(60_000).fill(0x30))),
  altered('stamped-note-of-another-text', 'TIME STAMPED_NOTE', (map) => {
    map.set(last(map).replace('tsa.tsr', 'note'), required(map.get('logs/1/checkpoint')));
  }),
];

/** An accuracy of 68 years. */
const YEARS = sequence(encodeDer(DER_TAG.integer, Uint8Array.of(0x7f, 0xff, 0xff, 0xff)));

const TIMES: readonly Attack[] = [
  { ...forged('time-stamp-that-says-later', '', { changes: (stage) => ({ genTime: endTime(stage) + DAY }) }), time: 'OK', seen: null },
  forged('time-stamp-dated-back', 'STAMP_CONTRADICTS', { changes: { genTime: START_MICROS } }),
  forged('time-stamp-dated-back-and-hardly-exact', 'STAMP_ACCURACY', { changes: { genTime: START_MICROS, parts: [YEARS] } }),
  {
    ...forged('time-stamp-of-the-future', 'STAMP_FUTURE', { changes: (stage) => ({ genTime: endTime(stage) + DAY }) }),
    reader: (stage) => ({ now: stage.time + 60 * SECOND }),
  },
  {
    ...altered('blocks-dated-ahead-of-their-time-stamp', 'TIME STAMP_CONTRADICTS', (map, stage) => {
      stampNotes(map, END, stage.time - 60 * SECOND, honestStamp);
    }),
    keys: ['archive', 'chainer', 'log'],
  },
  {
    ...altered('blocks-dated-back-behind-a-time-stamp', 'TIME STAMP_BEFORE', (map, stage) => {
      stampNotes(map, MIDDLE, endTime(stage) - SECOND, honestStamp);
      stampNotes(map, END, endTime(stage), honestStamp);
    }),
    keys: ['archive', 'chainer', 'log', 'producer'],
    time: 'OK',
  },
];

const ABSENT: readonly Attack[] = [
  altered('time-stamps-as-they-should-be', null, () => undefined, { time: 'OK' }),
  altered('time-stamps-removed-from-the-end', 'TIME UNSTAMPED', (map) => void map.delete(last(map)), { time: 'OPEN', word: 'OPEN' }),
  altered(
    'time-stamps-all-removed',
    'TIME UNSTAMPED',
    (map) => {
      for (const key of map.keys()) if (key.includes('/timestamps/')) map.delete(key);
    },
    { time: 'NOT CHECKED' },
  ),
  altered(
    'time-stamp-for-leaves-that-are-not-shown',
    'ARCHIVE BEYOND_CHECKPOINT',
    (map) => void map.set('logs/0/timestamps/4000.tsa.tsr', required(map.get(last(map)))),
    { time: 'OK' },
  ),
  altered(
    'time-stamp-of-an-authority-that-no-policy-names',
    'ARCHIVE UNKNOWN_OBJECT',
    (map) => void map.set(last(map).replace('tsa', 'other'), required(map.get(last(map)))),
    { time: 'OK' },
  ),
  altered(
    'stamped-note-without-a-time-stamp',
    'ARCHIVE UNKNOWN_OBJECT',
    (map) => void map.set('logs/0/timestamps/4000.note', required(map.get('logs/0/checkpoint'))),
    { time: 'OK' },
  ),
  altered('time-stamps-and-roots-of-the-reader', null, () => undefined, {
    time: 'OK',
    reader: () => ({ stampRoots: [CHAIN.root.der] }),
  }),
  altered('time-stamps-and-other-roots-of-the-reader', 'TIME STAMP_ROOT', () => undefined, {
    time: 'NOT CHECKED',
    reader: () => ({ stampRoots: [STRANGER.root.der] }),
  }),
  altered('time-stamps-and-a-policy-that-names-nobody', 'ARCHIVE UNKNOWN_OBJECT', () => undefined, {
    time: 'NOT CHECKED',
    policy: scenePolicy,
  }),
];

/** What is done to time stamps. The other verifier judges none: it is held to all other properties. */
export const STAMP_ATTACKS: readonly Attack[] = [...CERTIFICATES, ...PATHS, ...CONTENTS, ...TIMES, ...ABSENT];
