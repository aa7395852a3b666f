import { fromBase64, toBase64 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { type Certificate, parseCertificate } from './certificate.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g;
const BEGIN = '-----BEGIN CERTIFICATE-----';
/** Certificates in one text. */
const MAX_CERTIFICATES = 64;

/** Certificates as PEM (RFC 7468), one after the other, as other tools read them. */
export function formatCertificates(certificates: readonly Certificate[]): string {
  return certificates
    .map(({ der }) => `-----BEGIN CERTIFICATE-----\n${(toBase64(der).match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`)
    .join('');
}

/** Every certificate of a text in PEM; other lines are left aside. Throws FORMAT_INVALID where one cannot be read, or there is none. */
export function parseCertificates(text: string): Certificate[] {
  const blocks = [...text.matchAll(BLOCK)];
  if (text.split(BEGIN).length - 1 !== blocks.length)
    throw new LineproofError('FORMAT_INVALID', 'cannot read certificates: one of them is not base64 between its two lines');
  if (blocks.length === 0 || blocks.length > MAX_CERTIFICATES)
    throw new LineproofError(
      'FORMAT_INVALID',
      `cannot read certificates: the text holds ${blocks.length}, and 1 to ${MAX_CERTIFICATES} are taken`,
    );
  return blocks.map(([, base64 = '']) => parseCertificate(fromBase64(base64.replaceAll(/\s/g, ''))));
}
