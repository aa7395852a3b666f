import { describe, expect, test } from '@jest/globals';
import { utf8 } from '../../../../core/base/bytes.ts';
import { DER_TAG, encodeDer } from '../../../../core/base/der.ts';
import { parseCertificate } from '../../../../core/keys/certificate.ts';
import { checkStamp, type StampDemands } from '../../../../core/keys/time-stamp-check.ts';
import {
  attribute,
  ESS_V2,
  extension,
  type Holder,
  IS_CA,
  integer,
  makeCertificate,
  makeStamp,
  octets,
  oid,
  SHA1,
  STAMP_EPOCH,
  STAMPING,
  type StampChain,
  type StampChanges,
  sequence,
  stampChain,
  usage,
} from '../../../support/forged-stamp.ts';

const TEXT = 'example/0\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n';
const CHAIN = stampChain();
const DAY = 86_400e6;

function demands(chain: StampChain, more: Partial<StampDemands> = {}): StampDemands {
  return { text: TEXT, roots: [parseCertificate(chain.root.der)], others: [], policies: [], ...more };
}

/** The code of the fault; OK for none. */
function codeOf(changes: StampChanges = {}, chain = CHAIN, more: Partial<StampDemands> = {}): string {
  return outcome(makeStamp(TEXT, chain, changes), demands(chain, more));
}

function outcome(reply: Uint8Array, wanted: StampDemands): string {
  const result = checkStamp(reply, wanted);
  return 'fault' in result ? result.fault.code : 'OK';
}

test('an honest time stamp counts, and states its time, its accuracy and its way to the root', () => {
  const accuracy = sequence(integer(1), encodeDer(0x80, Uint8Array.of(2)), encodeDer(0x81, Uint8Array.of(3)));
  const reply = makeStamp(TEXT, CHAIN, { parts: [accuracy] });
  expect(checkStamp(reply, demands(CHAIN))).toMatchObject({ genTime: STAMP_EPOCH, accuracy: 1_002_003 });
  const result = checkStamp(reply, demands(CHAIN));
  if ('fault' in result) throw new Error(result.fault.message);
  expect(result.path.map(({ der }) => der)).toEqual([CHAIN.signer.der, CHAIN.middle.der, CHAIN.root.der]);
});

test('a time that is exact to an hour counts, and one that is less exact does not', () => {
  const exactTo = (...parts: readonly Uint8Array[]): unknown =>
    checkStamp(makeStamp(TEXT, CHAIN, { parts: [sequence(...parts)] }), demands(CHAIN));
  const hour = encodeDer(0x02, Uint8Array.of(0x0e, 0x10));
  expect(exactTo(hour)).toMatchObject({ accuracy: 3_600_000_000 });
  expect(exactTo(hour, encodeDer(0x81, Uint8Array.of(1)))).toMatchObject({ fault: { code: 'ACCURACY' } });
});

describe('what it covers', () => {
  test.each<[string, StampChanges]>([
    ['another text', { imprint: new Uint8Array(32) }],
    ['a digest by SHA-1', { imprintAlgorithm: SHA1, imprint: new Uint8Array(20) }],
    ['a digest that is cut off', { imprint: new Uint8Array(31) }],
  ])('must not be %s', (_, changes) => {
    expect(codeOf(changes)).toBe('IMPRINT');
  });

  test('is under one of the policies that are demanded', () => {
    expect(codeOf({}, CHAIN, { policies: ['1.2.3.4.2'] })).toBe('POLICY');
    expect(codeOf({}, CHAIN, { policies: ['1.2.3.4.2', '1.2.3.4.1'] })).toBe('OK');
  });

  test('has the nonce that was sent, where one was', () => {
    const nonce = Uint8Array.of(1, 2);
    expect(codeOf({}, CHAIN, { nonce })).toBe('NONCE');
    expect(codeOf({ nonce: Uint8Array.of(1, 3) }, CHAIN, { nonce })).toBe('NONCE');
    expect(codeOf({ nonce }, CHAIN, { nonce })).toBe('OK');
    expect(codeOf({ nonce })).toBe('OK');
  });

  test('was granted', () => {
    expect(codeOf({ status: 1 })).toBe('OK');
    expect(codeOf({ status: 2 })).toBe('REFUSED');
    expect(outcome(sequence(sequence(integer(2))), demands(CHAIN))).toBe('REFUSED');
  });
});

describe('its certificate', () => {
  test.each<[string, readonly Uint8Array[]]>([
    ['has no extended key usage', []],
    ['has one that is not critical', [usage(false, STAMPING)]],
    ['has a second purpose', [usage(true, STAMPING, '1.3.6.1.5.5.7.3.1')]],
    ['has the same purpose twice', [usage(true, STAMPING, STAMPING)]],
    ['is for servers', [usage(true, '1.3.6.1.5.5.7.3.1')]],
    [
      'may sign certificates, too',
      [usage(true, STAMPING), extension('2.5.29.15', true, encodeDer(DER_TAG.bitString, Uint8Array.of(1, 0x86)))],
    ],
    ['has a critical extension that nobody knows', [usage(true, STAMPING), extension('1.2.3', true, octets(utf8('x')))]],
  ])('does not count where it %s', (_, extensions) => {
    expect(codeOf({}, stampChain({ extensions }))).toBe('CERTIFICATE');
  });

  test('may say that it is for signatures', () => {
    const signs = extension('2.5.29.15', true, encodeDer(DER_TAG.bitString, Uint8Array.of(6, 0xc0)));
    expect(codeOf({}, stampChain({ extensions: [usage(true, STAMPING), signs] }))).toBe('OK');
  });

  test('is named by ESSCertIDv2, by its whole hash', () => {
    expect(codeOf({ attributes: ([type, digest]) => [type, digest] as Uint8Array[] })).toBe('CERTIFICATE');
    expect(codeOf({ named: stampChain().signer.der })).toBe('CERTIFICATE');
    const v1 = attribute('1.2.840.113549.1.9.16.2.12', sequence(sequence(sequence(octets(new Uint8Array(20))))));
    expect(codeOf({ attributes: ([type, digest]) => [type, digest, v1] as Uint8Array[] })).toBe('CERTIFICATE');
  });

  test('cannot be read with an extension twice, or with two algorithms', () => {
    const twice = [usage(true, STAMPING), usage(true, STAMPING)];
    expect(codeOf({}, stampChain({ extensions: twice }))).toBe('MALFORMED');
    expect(codeOf({}, stampChain({ algorithm: sequence(oid('1.2.840.10045.4.3.3')) }))).toBe('MALFORMED');
  });

  test('that is named may be beside the time stamp', () => {
    expect(codeOf({ certificates: [] })).toBe('CERTIFICATE');
    expect(codeOf({ certificates: [] }, CHAIN, { others: [CHAIN.signer, CHAIN.middle].map(({ der }) => parseCertificate(der)) })).toBe(
      'OK',
    );
  });

  test('that is another one than the signing key does not help', () => {
    const other = makeCertificate({ name: 'other', issuer: CHAIN.middle, extensions: [usage(true, STAMPING)] });
    expect(codeOf({ named: other.der, certificates: [other.der, CHAIN.middle.der] })).toBe('SIGNATURE');
  });
});

describe('the signature', () => {
  test('covers every attribute and the whole content', () => {
    const reply = makeStamp(TEXT, CHAIN);
    const at = Buffer.from(reply).indexOf('20260115120000Z');
    const changed = reply.slice();
    changed[at] = 0x33;
    expect(outcome(changed, demands(CHAIN))).toBe('SIGNATURE');
    expect(codeOf({ signature: (honest) => honest.map((byte, i) => (i === honest.length - 1 ? byte ^ 1 : byte)) })).toBe('SIGNATURE');
  });

  test.each<[string, StampChanges]>([
    ['two signers', { signers: (honest) => [honest, honest] }],
    ['no signer', { signers: () => [] }],
    ['an attribute twice', { attributes: (honest) => [...honest, honest[1] as Uint8Array] }],
    [
      'an attribute with two values',
      {
        attributes: ([type, , ess]) =>
          [type, attribute('1.2.840.113549.1.9.4', octets(new Uint8Array(32)), octets(new Uint8Array(32))), ess] as Uint8Array[],
      },
    ],
    [
      'another content type',
      { attributes: ([, digest, ess]) => [attribute('1.2.840.113549.1.9.3', oid('1.2.3')), digest, ess] as Uint8Array[] },
    ],
    ['no digest', { attributes: ([type, , ess]) => [type, ess] as Uint8Array[] }],
    ['an empty ESSCertIDv2', { attributes: ([type, digest]) => [type, digest, attribute(ESS_V2)] as Uint8Array[] }],
    ['a critical extension', { parts: [encodeDer(0xa1, extension('1.2.3', true, octets(utf8('x'))))] }],
  ])('is refused with %s', (_, changes) => {
    expect(codeOf(changes)).toBe('MALFORMED');
  });
});

describe('the way to the root', () => {
  const away = stampChain();

  test('ends at a root that the caller brings, and at no other', () => {
    expect(codeOf({ certificates: [CHAIN.signer.der, CHAIN.middle.der, CHAIN.root.der] }, CHAIN, { roots: [] })).toBe('ROOT');
    expect(codeOf({}, CHAIN, { roots: [parseCertificate(away.root.der)] })).toBe('ROOT');
    expect(codeOf({}, CHAIN, { roots: [parseCertificate(CHAIN.signer.der)] })).toBe('OK');
  });

  test('needs each certificate between, from the time stamp or from beside it', () => {
    expect(codeOf({ certificates: [CHAIN.signer.der] })).toBe('ROOT');
    expect(codeOf({ certificates: [CHAIN.signer.der] }, CHAIN, { others: [parseCertificate(CHAIN.middle.der)] })).toBe('OK');
    expect(codeOf({ certificates: [CHAIN.signer.der, away.middle.der] })).toBe('ROOT');
  });

  test('is valid at the time that the stamp states', () => {
    const bounded = stampChain({ from: STAMP_EPOCH - DAY, to: STAMP_EPOCH + DAY });
    expect(codeOf({ genTime: STAMP_EPOCH + DAY }, bounded)).toBe('OK');
    expect(codeOf({ genTime: STAMP_EPOCH + DAY + 1e6 }, bounded)).toBe('ROOT');
    expect(codeOf({ genTime: STAMP_EPOCH - DAY - 1e6 }, bounded)).toBe('ROOT');
    expect(codeOf({ genTime: STAMP_EPOCH + 4000 * DAY })).toBe('ROOT');
  });

  test.each<[string, readonly Uint8Array[]]>([
    ['is not a CA', []],
    ['is a CA for no time stamps', [IS_CA, usage(true, '1.3.6.1.5.5.7.3.1')]],
    ['must not sign certificates', [IS_CA, extension('2.5.29.15', true, encodeDer(DER_TAG.bitString, Uint8Array.of(7, 0x80)))]],
    ['restricts the names that it issues', [IS_CA, extension('2.5.29.30', true, sequence())]],
  ])('has no issuer that %s', (_, extensions) => {
    const middle = makeCertificate({ name: 'middle', issuer: CHAIN.root, extensions });
    const signer = makeCertificate({ name: 'signer', issuer: middle, extensions: [usage(true, STAMPING)] });
    expect(codeOf({}, { root: CHAIN.root, middle, signer })).toBe('ROOT');
  });

  test('is as short as an issuer demands', () => {
    const none = extension('2.5.29.19', true, sequence(encodeDer(DER_TAG.boolean, Uint8Array.of(0xff)), integer(0)));
    const root = makeCertificate({ name: 'short root', extensions: [none] });
    const middle = makeCertificate({ name: 'middle', issuer: root, extensions: [IS_CA] });
    const below = makeCertificate({ name: 'signer', issuer: middle, extensions: [usage(true, STAMPING)] });
    expect(codeOf({}, { root, middle, signer: below })).toBe('ROOT');
    const direct = makeCertificate({ name: 'signer', issuer: root, extensions: [usage(true, STAMPING)] });
    expect(codeOf({}, { root, middle, signer: direct })).toBe('OK');
  });

  test('has at most six issuers', () => {
    const under = (issuers: number): string => {
      const chain: Holder[] = [CHAIN.root];
      while (chain.length < issuers)
        chain.push(makeCertificate({ name: `middle ${chain.length}`, issuer: chain.at(-1) as Holder, extensions: [IS_CA] }));
      const middle = chain.at(-1) as Holder;
      const signer = makeCertificate({ name: 'signer', issuer: middle, extensions: [usage(true, STAMPING)] });
      return codeOf({ certificates: [signer, ...chain.slice(1)].map(({ der }) => der) }, { root: CHAIN.root, middle, signer });
    };
    expect([under(6), under(7)]).toEqual(['OK', 'ROOT']);
  });

  test('is not searched without end among issuers that issue each other', () => {
    const same = Array.from({ length: 60 }, () => makeCertificate({ name: 'middle', issuer: CHAIN.middle, extensions: [IS_CA] }));
    expect(codeOf({ certificates: [CHAIN.signer.der, ...same.map(({ der }) => der)] })).toBe('ROOT');
  });
});

describe('hostile bytes', () => {
  const reply = makeStamp(TEXT, CHAIN);

  test('cut off at any place give MALFORMED', () => {
    for (let end = 0; end < reply.length; end++) expect(outcome(reply.subarray(0, end), demands(CHAIN))).toBe('MALFORMED');
    expect(outcome(Uint8Array.of(...reply, 0), demands(CHAIN))).toBe('MALFORMED');
  });

  test('with one bit turned never count, but in parts that nothing rests on', () => {
    const passed: number[] = [];
    for (let at = 0; at < reply.length; at++) {
      const turned = reply.slice();
      turned[at] = (turned[at] as number) ^ 1;
      if (outcome(turned, demands(CHAIN)) === 'OK') passed.push(at);
    }
    // The status; versions, list of hash functions and name of the signer, which no signature covers.
    expect(passed.length).toBeLessThan(60);
    for (const at of passed) expect(Buffer.from(reply.subarray(at - 40, at + 1)).includes('20260115')).toBe(false);
  });

  test.each<[string, Uint8Array]>([
    ['an indefinite length', Uint8Array.of(0x30, 0x80, 0, 0)],
    ['a length with padding', Uint8Array.of(0x30, 0x81, 0x03, 0x02, 0x01, 0x00)],
    ['a length of four bytes', Uint8Array.of(0x30, 0x84, 0, 0, 0, 3, 2, 1, 0)],
    ['a length beyond the end', Uint8Array.of(0x30, 0x82, 0xff, 0xff)],
    ['a tag of two bytes', Uint8Array.of(0x3f, 0x81, 0x01, 0)],
    ['an integer with padding', sequence(sequence(integer(0, 0)))],
    ['a nest of a thousand sequences', Array.from({ length: 1000 }).reduce<Uint8Array>((inner) => sequence(inner), sequence())],
    ['more than its bound', sequence(octets(new Uint8Array(65_000)), octets(new Uint8Array(500)))],
  ])('such as %s give MALFORMED', (_, bytes) => {
    expect(outcome(bytes, demands(CHAIN))).toBe('MALFORMED');
  });

  test.each(['20260115120000.10Z', '20260115120000', '20260230120000Z', '20260115126000Z', '202601151200Z', '20260115120000.1234567Z'])(
    'such as the time %s give MALFORMED',
    (spelledTime) => {
      expect(codeOf({ spelledTime })).toBe('MALFORMED');
    },
  );

  test('are no fractions of a second down to microseconds', () => {
    expect(checkStamp(makeStamp(TEXT, CHAIN, { spelledTime: '20260115120000.100001Z' }), demands(CHAIN))).toMatchObject({
      genTime: STAMP_EPOCH + 100_001,
    });
  });
});
