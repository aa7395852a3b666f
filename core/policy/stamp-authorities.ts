import { fromBase64 } from '../base/bytes.ts';
import { type Certificate, parseCertificate } from '../keys/certificate.ts';
import type { StampAuthority } from './policy-document.ts';
import type { PolicyHistory } from './policy-history.ts';

/** An authority with its certificates, read. */
export interface KnownAuthority {
  readonly entry: StampAuthority;
  readonly roots: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
}

/** Every authority that a version names, by name. The newest version that names it says what counts: so what an authority signed still counts when it is asked no more. */
export function knownAuthorities({ versions }: PolicyHistory): ReadonlyMap<string, KnownAuthority> {
  const entries = versions.flatMap(({ policy }) => policy.timestamping?.authorities ?? []);
  return new Map(entries.map((entry) => [entry.name, knownAuthority(entry)]));
}

/** Reads the certificates of an entry. */
export function knownAuthority(entry: StampAuthority): KnownAuthority {
  const read = (texts: readonly string[]): Certificate[] => texts.map((text) => parseCertificate(fromBase64(text)));
  return { entry, roots: read(entry.roots), intermediates: read(entry.intermediates) };
}
