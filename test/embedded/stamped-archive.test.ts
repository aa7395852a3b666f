import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../adapters/system-clock.ts';
import { type VerifyOptions, verifyArchive } from '../../auditor/verify.ts';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { toBase64, utf8, utf8Text } from '../../core/base/bytes.ts';
import { parseCertificate } from '../../core/keys/certificate.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { TestChain } from '../support/archive.ts';
import { makeStamp, stampChain } from '../support/forged-stamp.ts';
import type { MemoryObjectStore } from '../support/memory.ts';
import { OpensslAuthority, type StampServer, serve, serveStamps } from '../support/openssl-authority.ts';
import { required } from '../support/rich-archive.ts';
import { stampedChain, startArchiver, type WatchedStore } from '../support/stamped-chain.ts';

const KEYS = logKeysOf(0);
let openssl: OpensslAuthority;

beforeAll(() => {
  openssl = new OpensslAuthority();
});

afterAll(() => openssl.close());

/** A chain whose policy names the authority of openssl at this URL. */
function chainAt(url: string, blocks: number): Promise<TestChain> {
  const authority = {
    name: 'openssl',
    url,
    roots: [toBase64(openssl.certificate('root'))],
    intermediates: [toBase64(openssl.certificate('middle'))],
    policies: ['1.2.3.4.1'],
  };
  return stampedChain(authority, blocks);
}

function verify(chain: TestChain, objects: MemoryObjectStore, more: Partial<VerifyOptions> = {}): ReturnType<typeof verifyArchive> {
  return verifyArchive(objects, { keys: [parseVerifierKey(chain.world.root.verifierKey)], now: systemClock.nowMicros(), ...more });
}

describe('an archiver with the authority of openssl', () => {
  let server: StampServer;
  let chain: TestChain;
  let objects: WatchedStore;
  let size: number;

  beforeAll(async () => {
    server = await serveStamps((query) => openssl.reply(query));
    chain = await chainAt(server.url, 5);
    ({ size } = chain.state.head);
    const running = startArchiver(chain);
    ({ objects } = running);
    await objects.holds(KEYS.timestamp(size, 'openssl'));
    await running.stop();
    await server.close();
  });

  test('keeps time stamps by which TIME is shown for every leaf', async () => {
    const { properties, findings } = await verify(chain, objects);
    expect(properties.TIME).toMatchObject({ result: 'OK', counts: { coveredLeaves: size, uncoveredLeaves: 0 } });
    expect(properties.TIME.trust).toMatch(/^time-stamp authorities of the policy, and the root key .*\(pinned\)$/);
    expect(findings.filter(({ property }) => property === 'TIME')).toEqual([]);
  });

  test('keeps what openssl needs to say the same, with the root alone', () => {
    const note = utf8Text(required(objects.objects.get(KEYS.stampedNote(size))));
    const text = utf8(note.slice(0, note.indexOf('\n\n') + 1));
    const reply = required(objects.objects.get(KEYS.timestamp(size, 'openssl')));
    const beside = required(objects.objects.get(KEYS.stampCertificates(size, 'openssl')));
    expect(openssl.verify(reply, text, beside)).toContain('Verification: OK');
    expect(() => openssl.verify(reply, utf8('other'), beside)).toThrow();
  });

  test('roots that the reader brings count alone', async () => {
    const own = await verify(chain, objects, { stampRoots: [parseCertificate(openssl.certificate('root'))] });
    expect(own.properties.TIME).toMatchObject({ result: 'OK', trust: expect.stringContaining('1 time-stamp root that the reader gave') });
    const other = await verify(chain, objects, { stampRoots: [parseCertificate(stampChain().root.der)] });
    expect(other.properties.TIME).toMatchObject({ result: 'NOT CHECKED', trust: 'the archive holds no time stamp that counts' });
  });

  test('by the log key alone no authority of the policy counts, and the reader can bring roots', async () => {
    const keys = [parseVerifierKey(required(chain.world.logs[0]).verifierKey)];
    const named = await verify(chain, objects, { keys });
    expect(named.properties.TIME).toMatchObject({ result: 'NOT CHECKED', trust: 'no pinned key proves the time-stamp authorities' });
    const brought = await verify(chain, objects, { keys, stampRoots: [parseCertificate(openssl.certificate('root'))] });
    expect(brought.properties.TIME.result).toBe('OK');
  });
});

test.each<[string, (query: Uint8Array) => Uint8Array | undefined]>([
  ['hangs', () => undefined],
  ['lies', () => makeStamp('another text', stampChain())],
])('an authority that %s delays no note, and what is missing comes once it is well', async (_, answer) => {
  let isWell = false;
  let asked = 0;
  const server = await serve((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    request.on('end', () => {
      asked += 1;
      const query = new Uint8Array(Buffer.concat(chunks));
      const reply = isWell ? openssl.reply(query) : answer(query);
      if (reply === undefined) return;
      response.writeHead(200, { 'content-type': 'application/timestamp-reply' });
      response.end(reply);
    });
  });
  const chain = await chainAt(server.url, 3);
  const running = startArchiver(chain);
  const published = (): string => utf8Text(running.objects.objects.get(KEYS.checkpoint) ?? new Uint8Array(0)).split('\n')[1] ?? '';
  await running.until(() => asked > 0);
  for (let i = 0; i < 20; i++) {
    await chain.grow([`more ${i}`]);
    await running.until(() => published() === String(chain.state.head.size));
  }
  expect([...running.objects.objects.keys()].filter((key) => key.endsWith('.tsr'))).toEqual([]);
  isWell = true;
  await running.objects.holds(KEYS.timestamp(chain.state.head.size, 'openssl'));
  expect(running.metrics.values.get('lineproof_stamp_errors_total')).toBeGreaterThan(0);
  await running.stop();
  await server.close();
  expect((await verify(chain, running.objects)).properties.TIME).toMatchObject({ result: 'OK', counts: { stamps: 1 } });
});

test('an archiver that stops does not wait for an authority that hangs', async () => {
  let asked = 0;
  const server = await serve(() => {
    asked += 1;
  });
  const running = startArchiver(await chainAt(server.url, 3));
  await running.until(() => asked > 0);
  await running.stop();
  await server.close();
  expect(running.metrics.values.get('lineproof_stamp_errors_total')).toBeUndefined();
});
