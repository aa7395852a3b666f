import { verifyForeignSignature } from '#crypto';
import { equal } from '../base/bytes.ts';
import { messageOf } from '../base/errors.ts';
import { type Certificate, issuingFault } from './certificate.ts';

/** Certificates between a signer and a root, and how many steps a search takes at most. */
const MAX_ISSUERS = 6;
const MAX_STEPS = 64;

/** The way from a certificate to a root, or why there is none. `isUnknown`: an algorithm stood in the way that this version does not know. */
export type CertificatePath =
  | { readonly path: readonly Certificate[] }
  | { readonly path: undefined; readonly fault: string; readonly isUnknown: boolean };

/** The certificates that a search may use, and the time at which all on the way must be valid, microseconds. */
export interface PathSources {
  readonly roots: readonly Certificate[];
  readonly others: readonly Certificate[];
  readonly at: number;
}

/**
 * The way from `signer` to one of the roots: each certificate is valid at `at`, may issue the one before it, and signed it. A signer that is itself
 * among the roots needs no issuer. Revocation is not checked: an archive holds no lists of it.
 */
export function findPath(signer: Certificate, sources: PathSources): CertificatePath {
  const search = new PathSearch(sources);
  const path = search.from([signer]);
  return path === undefined ? { path, fault: search.fault, isUnknown: search.isUnknown } : { path };
}

class PathSearch {
  readonly #sources: PathSources;
  #steps = 0;
  /** The fault of the candidate that came furthest. Written by `#note`. */
  fault = 'no certificate leads to a root that counts';
  #reached = -1;
  isUnknown = false;

  constructor(sources: PathSources) {
    this.#sources = sources;
  }

  from(path: readonly Certificate[]): readonly Certificate[] | undefined {
    const last = path.at(-1) as Certificate;
    const { roots, others, at } = this.#sources;
    if (at < last.notBefore || at > last.notAfter) {
      this.#note(path.length, 'a certificate on the way to the root was not valid at that time');
      return undefined;
    }
    if (roots.some(({ der }) => equal(der, last.der))) return path;
    if (path.length > MAX_ISSUERS) return undefined;
    for (const issuer of [...roots, ...others]) {
      if (!equal(issuer.subject, last.issuer) || path.some(({ der }) => equal(der, issuer.der))) continue;
      if (++this.#steps > MAX_STEPS) return undefined;
      const fault = this.#linkFault(issuer, last, path.length - 1);
      const found = fault === undefined ? this.from([...path, issuer]) : undefined;
      if (found !== undefined) return found;
      if (fault !== undefined) this.#note(path.length, fault);
    }
    return undefined;
  }

  #linkFault(issuer: Certificate, subject: Certificate, below: number): string | undefined {
    try {
      const fault = issuingFault(issuer, below);
      if (fault !== undefined) return `the certificate of an issuer cannot be used: ${fault}`;
    } catch (error) {
      return `the certificate of an issuer cannot be read: ${messageOf(error)}`;
    }
    const holds = subject.scheme && verifyForeignSignature(issuer.publicKey, subject.scheme, subject.signed, subject.signature);
    if (holds === undefined) this.isUnknown = true;
    if (holds === undefined) return 'a certificate is signed by an algorithm that this version does not know';
    return holds ? undefined : 'the signature of a certificate is wrong';
  }

  #note(reached: number, fault: string): void {
    if (reached <= this.#reached) return;
    this.#reached = reached;
    this.fault = fault;
  }
}
