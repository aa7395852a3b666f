import { describe, expect, test } from '@jest/globals';
import { toHex, utf8, utf8Text } from '../../../../core/base/bytes.ts';
import {
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  encodePreAuthentication,
  envelopeKeyId,
  envelopeSigners,
  PAYLOAD_TYPES,
  type PayloadType,
  preAuthentication,
  signEnvelope,
} from '../../../../core/keys/dsse.ts';
import { formatVerifierKey, keySigner, parseVerifierKey } from '../../../../core/keys/key.ts';
import { KEY_TYPE } from '../../../../core/keys/signature.ts';

const [A, B] = [1, 2].map((byte) => keySigner(`key-${byte}`, new Uint8Array(32).fill(byte))) as [
  ReturnType<typeof keySigner>,
  ReturnType<typeof keySigner>,
];
const [KEY_A, KEY_B] = [parseVerifierKey(A.verifierKey), parseVerifierKey(B.verifierKey)];
const PAYLOAD = utf8('{"a":1}');
const FORMAT_INVALID = expect.objectContaining({ code: 'FORMAT_INVALID' });
const SIGNATURE_INVALID = expect.objectContaining({ code: 'SIGNATURE_INVALID' });

describe('the pre-authentication encoding', () => {
  test('is that of the DSSE specification', () => {
    // github.com/secure-systems-lab/dsse, protocol.md, "Test Vectors"
    expect(utf8Text(encodePreAuthentication('http://example.com/HelloWorld', utf8('hello world')))).toBe(
      'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    );
  });

  test('counts bytes, not characters, and has a space behind an empty payload', () => {
    expect(utf8Text(encodePreAuthentication('ü', utf8('🙂')))).toBe('DSSEv1 2 ü 4 🙂');
    expect(utf8Text(encodePreAuthentication('t', new Uint8Array(0)))).toBe('DSSEv1 1 t 0 ');
  });

  test('differs for every type that we sign', () => {
    const encodings = Object.keys(PAYLOAD_TYPES).map((type) => toHex(preAuthentication(type as PayloadType, PAYLOAD)));
    expect(new Set(encodings).size).toBe(6);
  });
});

const signed = () => signEnvelope('policy', PAYLOAD, [A, B]);
const canonical = (value: Record<string, unknown>) =>
  utf8(JSON.stringify(Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))));

describe('envelopes', () => {
  const json = async () => JSON.parse(utf8Text(encodeEnvelope(await signed()))) as Record<string, unknown>;

  test('come back as they were, in canonical JSON', async () => {
    const envelope = await signed();
    const bytes = encodeEnvelope(envelope);
    expect(decodeEnvelope(bytes, 'policy')).toEqual(envelope);
    expect(canonical(JSON.parse(utf8Text(bytes)) as Record<string, unknown>)).toEqual(bytes);
    expect(envelope.signatures.map(({ keyid }) => keyid)).toEqual([`key-1+${toHex(KEY_A.id)}`, `key-2+${toHex(KEY_B.id)}`]);
  });

  test('may have a hundred signatures', async () => {
    const { signatures, ...rest } = await signed();
    const hundred = Array.from({ length: 100 }, (_, i) => ({
      keyid: `k+${String(i).padStart(8, '0')}`,
      sig: signatures[0]?.sig ?? PAYLOAD,
    }));
    expect(decodeEnvelope(encodeEnvelope({ ...rest, signatures: hundred }), 'policy').signatures).toHaveLength(100);
  });

  test('name those of the keys that signed, and ignore the others', async () => {
    const envelope = await signed();
    expect(envelopeSigners(envelope, [KEY_A, KEY_B])).toEqual([KEY_A, KEY_B]);
    expect(envelopeSigners(envelope, [KEY_B])).toEqual([KEY_B]);
    expect(envelopeSigners(envelope, [])).toEqual([]);
  });

  test.each<[string, (envelope: Envelope) => Envelope]>([
    ['another payload', (envelope) => ({ ...envelope, payload: utf8('{"a":2}') })],
    ['another type', (envelope) => ({ ...envelope, payloadType: 'manifest' })],
    ['a signature twice', ({ signatures, ...rest }) => ({ ...rest, signatures: [...signatures, ...signatures] })],
    [
      "signatures under each other's names",
      ({ signatures: [a, b], ...rest }) => ({
        ...rest,
        signatures: [
          { keyid: a?.keyid ?? '', sig: b?.sig ?? PAYLOAD },
          { keyid: b?.keyid ?? '', sig: a?.sig ?? PAYLOAD },
        ],
      }),
    ],
  ])('with %s are refused', async (_, change) => {
    const envelope = change(await signed());
    expect(() => envelopeSigners(envelope, [KEY_A, KEY_B])).toThrow(SIGNATURE_INVALID);
  });

  test.each<[string, (value: Record<string, unknown>) => Uint8Array]>([
    ['another type than expected', (value) => canonical({ ...value, payloadType: PAYLOAD_TYPES.manifest })],
    ['a member that is not known', (value) => canonical({ ...value, extra: 1 })],
    [
      'a member that is not known in a signature',
      (value) => canonical({ ...value, signatures: [{ extra: 1, keyid: 'k+00000000', sig: '' }] }),
    ],
    ['a payload that is not text', (value) => canonical({ ...value, payload: 7 })],
    ['a payload in base64url', (value) => canonical({ ...value, payload: '-_8=' })],
    ['signatures that are not a list', (value) => canonical({ ...value, signatures: {} })],
    ['a signature that is null', (value) => canonical({ ...value, signatures: [null] })],
    ['a signature without a name', (value) => canonical({ ...value, signatures: [{ sig: '' }] })],
    [
      '101 signatures',
      (value) => canonical({ ...value, signatures: Array.from({ length: 101 }, () => ({ keyid: 'k+00000000', sig: '' })) }),
    ],
    ['a signature of no key', (value) => canonical({ ...value, signatures: [{ keyid: 'k', sig: '' }] })],
    ['a signature of a key without a name', (value) => canonical({ ...value, signatures: [{ keyid: '+00000000', sig: '' }] })],
    ['a signature of a name with a space', (value) => canonical({ ...value, signatures: [{ keyid: 'k k+00000000', sig: '' }] })],
    ['a signature whose id is in capitals', (value) => canonical({ ...value, signatures: [{ keyid: 'k+0000000A', sig: '' }] })],
    ['spaces', (value) => utf8(JSON.stringify(value, undefined, 1))],
    ['members in another order', (value) => utf8(JSON.stringify({ signatures: value['signatures'], ...value }))],
    ['a list around it', (value) => utf8(`[${JSON.stringify(value)}]`)],
    ['null in its place', () => utf8('null')],
    ['nothing', () => utf8('')],
    ['bytes that are not UTF-8', () => Uint8Array.of(0xff)],
  ])('with %s cannot be read', async (_, change) => {
    const bytes = change(await json());
    expect(() => decodeEnvelope(bytes, 'policy')).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(FORMAT_INVALID|LIMIT_EXCEEDED)$/) }),
    );
  });

  test('are not signed by a key of another algorithm, whatever its bytes', async () => {
    const witness = parseVerifierKey(formatVerifierKey(KEY_A.name, KEY_TYPE.cosignature, KEY_A.publicKey));
    const { signatures, ...rest } = await signed();
    const renamed = signatures.map(({ sig }) => ({ keyid: envelopeKeyId(witness.name, witness.id), sig })).slice(0, 1);
    expect(() => envelopeSigners({ ...rest, signatures: renamed }, [witness])).toThrow(SIGNATURE_INVALID);
  });

  test('of one type never pass for another', async () => {
    const bytes = encodeEnvelope(await signed());
    for (const type of Object.keys(PAYLOAD_TYPES) as PayloadType[]) {
      if (type === 'policy') continue;
      expect(() => decodeEnvelope(bytes, type)).toThrow(FORMAT_INVALID);
    }
  });
});
