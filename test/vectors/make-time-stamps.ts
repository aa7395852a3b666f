// Makes test/vectors/keys/time-stamps.json by `openssl ts`:
//   node --conditions=lineproof-source --import ./test/support/typescript.js test/vectors/make-time-stamps.ts
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { toBase64, utf8 } from '../../core/base/bytes.ts';
import { encodeStampRequest } from '../../core/keys/time-stamp.ts';
import { OpensslAuthority } from '../support/openssl-authority.ts';

const TEXT = 'example.com/log/0\n5\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n';
const NONCE = Uint8Array.of(0x41, 2, 3);
const KEYS = {
  'RSA 2048': ['-newkey', 'rsa:2048'],
  'ECDSA P-256': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
};

function vectorOf(name: string, keys: readonly string[]): Record<string, string> {
  const authority = new OpensslAuthority(keys);
  try {
    const reply = authority.reply(encodeStampRequest(sha256(utf8(TEXT)), NONCE));
    const certificate = (which: 'root' | 'middle'): string => toBase64(authority.certificate(which));
    return { name, reply: toBase64(reply), root: certificate('root'), middle: certificate('middle') };
  } finally {
    authority.close();
  }
}

const vectors = Object.entries(KEYS).map(([name, keys]) => vectorOf(name, keys));
const source = 'openssl ts -reply, OpenSSL 3.0; test/vectors/make-time-stamps.ts makes them';
const file = join(import.meta.dirname, 'keys/time-stamps.json');
writeFileSync(file, `${JSON.stringify({ source, text: TEXT, nonce: '410203', policy: '1.2.3.4.1', vectors }, undefined, 2)}\n`);
