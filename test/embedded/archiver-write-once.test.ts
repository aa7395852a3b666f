import { beforeEach, describe, expect, test } from '@jest/globals';
import { type LogKeys, putEnvelope, putNote, putOnce, signedPayload } from '../../archiver/write-once.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { noteOf } from '../support/archive.ts';
import { MemoryObjectStore } from '../support/memory.ts';
import { testSigner } from '../support/producer.ts';

const KEY = 'some/key';
const NAME = 'example.org/log/0';
const PAYLOAD = utf8('{"a":1}');
const OTHER = utf8('{"a":2}');
const ROOT = new Uint8Array(32).fill(1);
const DIVERGED = { code: 'ARCHIVE_DIVERGED', details: { key: KEY } };

const signer = testSigner(NAME);
/** An earlier log key, which the policy still names. */
const retired = testSigner(NAME, 'retired');
const stranger = testSigner(NAME, 'stranger');
const keys: LogKeys = { signer, verifiers: [signer, retired].map(({ verifierKey }) => parseVerifierKey(verifierKey)) };

const envelope = async (payload: Uint8Array, by: Signer, type: 'manifest' | 'snapshot' = 'manifest'): Promise<Uint8Array> =>
  encodeEnvelope(await signEnvelope(type, payload, [by]));

let objects: MemoryObjectStore;

beforeEach(() => {
  objects = new MemoryObjectStore();
});

describe('an object that never changes', () => {
  test('is written once, and kept when it is stored already', async () => {
    expect(await putOnce(objects, KEY, PAYLOAD)).toEqual(PAYLOAD);
    expect(await putOnce(objects, KEY, PAYLOAD.slice())).toEqual(PAYLOAD);
    expect(objects.objects.get(KEY)).toEqual(PAYLOAD);
  });

  test('is never written over', async () => {
    await putOnce(objects, KEY, PAYLOAD);
    await expect(putOnce(objects, KEY, OTHER)).rejects.toMatchObject(DIVERGED);
    expect(objects.objects.get(KEY)).toEqual(PAYLOAD);
  });

  test('may be stored in other bytes with the same content, and the stored bytes count', async () => {
    await putOnce(objects, KEY, PAYLOAD);
    expect(await putOnce(objects, KEY, OTHER, () => true)).toEqual(PAYLOAD);
  });

  test('is another one if the stored bytes cannot be read', async () => {
    await putOnce(objects, KEY, PAYLOAD);
    const unreadable = (): boolean => {
      throw new Error('cannot be read');
    };
    await expect(putOnce(objects, KEY, OTHER, unreadable)).rejects.toMatchObject(DIVERGED);
  });

  test('is tried again if the store says that it exists and does not return it', async () => {
    objects.create = async () => false;
    await expect(putOnce(objects, KEY, PAYLOAD)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('a signed payload', () => {
  test.each([
    ['the same key', signer],
    ['an earlier log key', retired],
  ])('is the same under a signature by %s', async (_, by) => {
    const stored = await envelope(PAYLOAD, by);
    objects.objects.set(KEY, stored);
    expect(await putEnvelope(objects, KEY, { type: 'manifest', payload: PAYLOAD }, keys)).toEqual(stored);
  });

  test.each<[string, () => Promise<Uint8Array>]>([
    ['another payload, though the log key signed it', () => envelope(OTHER, retired)],
    ['the payload, signed by a stranger', () => envelope(PAYLOAD, stranger)],
    ['the payload, signed as something else', () => envelope(PAYLOAD, retired, 'snapshot')],
    ['no envelope', async () => PAYLOAD],
  ])('is not the same as %s', async (_, make) => {
    objects.objects.set(KEY, await make());
    await expect(putEnvelope(objects, KEY, { type: 'manifest', payload: PAYLOAD }, keys)).rejects.toMatchObject(DIVERGED);
  });

  test('is returned only if a log key signed it', async () => {
    expect(signedPayload(await envelope(PAYLOAD, signer), 'manifest', keys.verifiers)).toEqual(PAYLOAD);
    expect(signedPayload(await envelope(PAYLOAD, stranger), 'manifest', keys.verifiers)).toBeUndefined();
    expect(signedPayload(PAYLOAD, 'manifest', keys.verifiers)).toBeUndefined();
  });
});

describe('a note', () => {
  const head = { origin: NAME, size: 5, root: ROOT };

  test.each([
    ['the same key', signer],
    ['an earlier log key', retired],
  ])('is the same under a signature by %s', async (_, by) => {
    const stored = utf8(await noteOf(by, 5, ROOT));
    objects.objects.set(KEY, stored);
    await putNote(objects, KEY, { checkpoint: head, cosignatures: [] }, keys);
    expect(objects.objects.get(KEY)).toBe(stored);
  });

  test.each<[string, () => Promise<string>]>([
    ['one over another root', () => noteOf(signer, 5, new Uint8Array(32))],
    ['one of another size', () => noteOf(signer, 6, ROOT)],
    ['one that a stranger signed', () => noteOf(stranger, 5, ROOT)],
    ['no note', async () => 'no note'],
  ])('is not the same as %s', async (_, note) => {
    objects.objects.set(KEY, utf8(await note()));
    await expect(putNote(objects, KEY, { checkpoint: head, cosignatures: [] }, keys)).rejects.toMatchObject(DIVERGED);
  });
});
