import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { fromBase64, fromHex } from '../../../../core/base/bytes.ts';
import { type Certificate, parseCertificate } from '../../../../core/keys/certificate.ts';
import { formatCertificates, parseCertificates } from '../../../../core/keys/certificate-text.ts';
import { checkStamp, type StampDemands } from '../../../../core/keys/time-stamp-check.ts';

const file = new URL('../../../vectors/keys/time-stamps.json', import.meta.url);
const { text, nonce, policy, vectors } = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly text: string;
  readonly nonce: string;
  readonly policy: string;
  readonly vectors: readonly { readonly name: string; readonly reply: string; readonly root: string; readonly middle: string }[];
};
const certificate = (base64: string): Certificate => parseCertificate(fromBase64(base64));

test.each(vectors)('a time stamp of openssl with $name counts, and nothing else about it does', ({ reply, root, middle }) => {
  const bytes = fromBase64(reply);
  const demands: StampDemands = {
    text,
    roots: [certificate(root)],
    others: [certificate(middle)],
    policies: [policy],
    nonce: fromHex(nonce),
  };
  const codeOf = (more: Partial<StampDemands>): string => {
    const result = checkStamp(bytes, { ...demands, ...more });
    return 'fault' in result ? result.fault.code : 'OK';
  };
  expect(checkStamp(bytes, demands)).toMatchObject({ accuracy: 1e6 });
  expect(codeOf({})).toBe('OK');
  expect(codeOf({ text: text.slice(0, -1) })).toBe('IMPRINT');
  expect(codeOf({ nonce: fromHex('4102') })).toBe('NONCE');
  expect(codeOf({ policies: ['1.2.3.4'] })).toBe('POLICY');
  expect(codeOf({ others: [] })).toBe('ROOT');
  expect(codeOf({ roots: [], others: [certificate(middle), certificate(root)] })).toBe('ROOT');
});

test('certificates in PEM come back, whatever stands between them; a text without one is refused', () => {
  const certificates = vectors.flatMap(({ root, middle }) => [certificate(root), certificate(middle)]);
  const pem = formatCertificates(certificates);
  expect(parseCertificates(pem)).toEqual(certificates);
  expect(parseCertificates(`subject: x\r\n${pem.replaceAll('\n', '\r\n')}`)).toEqual(certificates);
  const invalid = { code: 'FORMAT_INVALID' };
  for (const spoiled of ['', 'junk', pem.replace('MII', '!!!'), pem.replace('MII', 'MIJ'), pem.repeat(20)])
    expect(() => parseCertificates(spoiled)).toThrow(expect.objectContaining(invalid));
});
