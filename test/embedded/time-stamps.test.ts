import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { httpTimestampAuthority } from '../../adapters/http-timestamp-authority.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { parseCertificate } from '../../core/keys/certificate.ts';
import { encodeStampRequest } from '../../core/keys/time-stamp.ts';
import { checkStamp } from '../../core/keys/time-stamp-check.ts';
import { makeStamp, stampChain } from '../support/forged-stamp.ts';
import { OpensslAuthority, type StampServer, serveStamps } from '../support/openssl-authority.ts';

const TEXT = 'example/0\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n';
const NONCE = Uint8Array.of(0x41, 2, 3);

describe.each([
  ['RSA', ['-newkey', 'rsa:2048']],
  ['ECDSA', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
])('a time stamp of openssl with %s', (_, keys) => {
  let authority: OpensslAuthority;
  let server: StampServer;

  beforeAll(async () => {
    authority = new OpensslAuthority(keys);
    server = await serveStamps((query) => authority.reply(query));
  });

  afterAll(async () => {
    await server.close();
    authority.close();
  });

  test('counts here, and openssl takes what counts', async () => {
    const ask = httpTimestampAuthority();
    const reply = await ask.ask(server.url, encodeStampRequest(sha256(utf8(TEXT)), NONCE), new AbortController().signal);
    const demands = { text: TEXT, roots: [parseCertificate(authority.certificate('root'))], policies: ['1.2.3.4.1'], nonce: NONCE };
    const others = [parseCertificate(authority.certificate('middle'))];
    expect(checkStamp(reply, { ...demands, others: [] })).toMatchObject({ fault: { code: 'ROOT' } });
    expect(checkStamp(reply, { ...demands, others })).toMatchObject({ accuracy: 1e6 });
    expect(authority.verify(reply, utf8(TEXT), utf8(authority.openssl('x509', '-in', 'middle.pem')))).toContain('Verification: OK');
  });
});

test('openssl takes an honest time stamp of the forger, so that what it refuses in the others is what was forged', () => {
  const authority = new OpensslAuthority();
  try {
    const chain = stampChain();
    const pem = Buffer.from(chain.root.der)
      .toString('base64')
      .replaceAll(/(.{64})/g, '$1\n');
    authority.write('root.pem', `-----BEGIN CERTIFICATE-----\n${pem}\n-----END CERTIFICATE-----\n`);
    expect(authority.verify(makeStamp(TEXT, chain), utf8(TEXT))).toContain('Verification: OK');
    expect(() => authority.verify(makeStamp(TEXT, stampChain({ extensions: [] })), utf8(TEXT))).toThrow();
  } finally {
    authority.close();
  }
});
