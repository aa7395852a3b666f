import { beforeAll, expect, test } from '@jest/globals';
import { checkPem } from '../../../adapters/pem.ts';
import { type Certificates, newCertificates } from '../../support/certificates.ts';

let mine: Certificates;
let others: Certificates;
beforeAll(async () => {
  [mine, others] = await Promise.all([newCertificates(), newCertificates()]);
}, 60_000);

function refusal(texts: Parameters<typeof checkPem>[0]): string {
  try {
    checkPem(texts, (part) => `kafka ${part}`);
    return 'taken';
  } catch (error) {
    return (error as Error).message;
  }
}

test('certificates, and a certificate with its key, are taken; nothing at all is, too', () => {
  const { ca, cert, key } = mine;
  for (const texts of [{}, { ca }, { ca: `# a comment\n${ca}\n${others.ca}` }, { ca, cert: `${cert}${ca}`, key }])
    expect(refusal(texts)).toBe('taken');
});

test('what TLS would ignore in silence is refused, by the setting that it is in', () => {
  const { ca, cert, key } = mine;
  const damaged = ca.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA');
  expect(refusal({ ca: '' })).toMatch(/kafka ca: it holds no certificate/);
  expect(refusal({ ca: 'not PEM' })).toMatch(/kafka ca: it holds no certificate/);
  expect(refusal({ ca: key })).toMatch(/kafka ca: it holds no certificate/);
  expect(refusal({ ca: `${ca}${damaged}` })).toMatch(/kafka ca: certificate 2 in it cannot be read/);
  expect(refusal({ cert })).toMatch(/kafka cert: needs kafka key beside it/);
  expect(refusal({ key })).toMatch(/kafka key: needs kafka cert beside it/);
  expect(refusal({ cert, key: 'not PEM' })).toMatch(/kafka key: it holds no private key/);
  expect(refusal({ cert, key: others.key })).toMatch(/kafka key: it is not the key of the certificate in kafka cert/);
});
