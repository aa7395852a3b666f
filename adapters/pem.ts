import { createPrivateKey, X509Certificate } from 'node:crypto';
import { LineproofError, messageOf } from '../core/base/errors.ts';

/** Certificates and a key as texts in PEM (RFC 7468), with the names of the settings or options that they come from. */
export interface PemTexts {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * Refuses texts that TLS would ignore in silence or fail on much later. `nameOf` gives the setting of each. Throws CONFIG_INVALID, never with any of the texts.
 */
export function checkPem({ ca, cert, key }: PemTexts, nameOf: (part: keyof PemTexts) => string): void {
  if (ca !== undefined) certificates(ca, nameOf('ca'));
  const [own] = cert === undefined ? [] : certificates(cert, nameOf('cert'));
  if ((cert === undefined) !== (key === undefined))
    throw invalid(nameOf(cert === undefined ? 'key' : 'cert'), `needs ${nameOf(cert === undefined ? 'cert' : 'key')} beside it`);
  if (own === undefined || key === undefined) return;
  let fits = false;
  try {
    fits = own.checkPrivateKey(createPrivateKey(key));
  } catch {
    throw invalid(nameOf('key'), 'it holds no private key in PEM that can be read without a pass phrase');
  }
  if (!fits) throw invalid(nameOf('key'), `it is not the key of the certificate in ${nameOf('cert')}`);
}

function certificates(text: string, name: string): readonly X509Certificate[] {
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw invalid(name, 'it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)');
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw invalid(name, `certificate ${i + 1} in it cannot be read (${messageOf(error).slice(0, 100)})`);
    }
  });
}

function invalid(name: string, fact: string): LineproofError {
  return new LineproofError('CONFIG_INVALID', `cannot use ${name}: ${fact}`);
}
