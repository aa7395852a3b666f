import { sha2, sha256, verifyForeignSignature } from '#crypto';
import { equal, utf8 } from '../base/bytes.ts';
import { messageOf } from '../base/errors.ts';
import { type Certificate, parseCertificate, schemeOf, stampingFault } from './certificate.ts';
import { findPath } from './certificate-path.ts';
import { parseStampReply, type StampSigner, type TimeStamp } from './time-stamp.ts';

/** Why a time stamp does not count. `ALGORITHM`: this version cannot judge it; all others: it is shown to be wrong, or to be of somebody else. */
export type StampFaultCode =
  | 'MALFORMED'
  | 'REFUSED'
  | 'IMPRINT'
  | 'NONCE'
  | 'POLICY'
  | 'ACCURACY'
  | 'CERTIFICATE'
  | 'SIGNATURE'
  | 'ROOT'
  | 'ALGORITHM';

export interface StampFault {
  readonly code: StampFaultCode;
  readonly message: string;
}

/** What a time stamp has to be. */
export interface StampDemands {
  /** The text that it covers: the text of a note, with its last newline. */
  readonly text: string;
  /** Certificates that count as roots. They never come from the time stamp or from what is beside it. */
  readonly roots: readonly Certificate[];
  /** Further certificates, which prove nothing by themselves. */
  readonly others: readonly Certificate[];
  /** Object identifiers of the authority's policies of which it must name one; none: any will do. */
  readonly policies: readonly string[];
  /** The number that was sent with the request; undefined where nobody knows it any more. */
  readonly nonce?: Uint8Array;
}

/** A time stamp that counts: the text was there at `genTime` + `accuracy` at the latest. Microseconds. */
export interface ProvenStamp {
  readonly genTime: number;
  readonly accuracy: number;
  /** From the signer's certificate to the root. */
  readonly path: readonly Certificate[];
}

/** Checks a whole TimeStampResp. Gives the proven time, or the first fault. Never throws. */
export function checkStamp(reply: Uint8Array, demands: StampDemands): ProvenStamp | { readonly fault: StampFault } {
  try {
    const stamp = parseStampReply(reply);
    if ('refused' in stamp) return fault('REFUSED', `the authority refused it: ${stamp.refused}`);
    return contentFault(stamp, demands) ?? checkSigner(stamp, demands);
  } catch (error) {
    return fault('MALFORMED', messageOf(error));
  }
}

function fault(code: StampFaultCode, message: string): { readonly fault: StampFault } {
  return { fault: { code, message } };
}

/** Microseconds. With a wide accuracy no stated time could ever contradict a block, or be of the future. */
const MOST_ACCURACY = 60 * 60 * 1_000_000;

function contentFault(stamp: TimeStamp, { text, policies, nonce }: StampDemands): { readonly fault: StampFault } | undefined {
  if (stamp.imprintHash !== 'sha256') return fault('IMPRINT', 'it covers a digest by another function than SHA-256');
  if (!equal(stamp.imprint, sha256(utf8(text)))) return fault('IMPRINT', 'it covers another text');
  if (nonce !== undefined && (stamp.nonce === undefined || !equal(stamp.nonce, nonce)))
    return fault('NONCE', 'it answers another request: its nonce is not the one that was sent');
  if (policies.length > 0 && !policies.includes(stamp.policy)) return fault('POLICY', `it is under the policy ${stamp.policy}`);
  if (stamp.accuracy > MOST_ACCURACY)
    return fault('ACCURACY', `its time is exact to ${Math.ceil(stamp.accuracy / 1e6)} s only, and at most ${MOST_ACCURACY / 1e6} s count`);
  return stamp.hasUnknownExtension ? fault('MALFORMED', 'it has a critical extension, and this version knows none') : undefined;
}

function checkSigner(stamp: TimeStamp, { roots, others }: StampDemands): ProvenStamp | { readonly fault: StampFault } {
  const { signer } = stamp;
  const named = signer.certificateHash;
  if (named === undefined) return fault('CERTIFICATE', 'it does not name its certificate by ESSCertIDv2');
  if (named.hash === undefined || signer.digestHash === undefined)
    return fault('ALGORITHM', 'it uses a hash function that this version does not take');
  const isNamed = (der: Uint8Array): boolean => equal(sha2(named.hash as 'sha256', der), named.value);
  const der = [...stamp.certificates, ...[...others, ...roots].map((each) => each.der)].find(isNamed);
  if (der === undefined) return fault('CERTIFICATE', 'the certificate that it names by ESSCertIDv2 is not there');
  const certificate = parseCertificate(der);
  const unfit = stampingFault(certificate);
  if (unfit !== undefined) return fault('CERTIFICATE', `its certificate may not sign time stamps: ${unfit}`);
  const wrong = signatureFault(signer, certificate);
  if (wrong !== undefined) return wrong;
  const found = findPath(certificate, { roots, others: [...usable(stamp.certificates), ...others], at: stamp.genTime });
  if (found.path === undefined) return fault(found.isUnknown ? 'ALGORITHM' : 'ROOT', found.fault);
  return { genTime: stamp.genTime, accuracy: stamp.accuracy, path: found.path };
}

/** The signature covers the attributes, and these the digest of the content. */
function signatureFault(signer: StampSigner, { publicKey }: Certificate): { readonly fault: StampFault } | undefined {
  const { digestHash, content, messageDigest, attributes, signature } = signer;
  if (digestHash === undefined || !equal(sha2(digestHash, content), messageDigest))
    return fault('SIGNATURE', 'what is signed has another digest than its signed attribute states');
  // Most authorities name RSA alone, and the hash beside it.
  const scheme = signer.algorithm === RSA ? ({ kind: 'rsa', hash: digestHash } as const) : schemeOf(signer.algorithm);
  if (scheme === undefined) return fault('ALGORITHM', 'it is signed by an algorithm that this version does not know');
  if (scheme.hash !== digestHash) return fault('SIGNATURE', 'its signature and its digest use two hash functions');
  const holds = verifyForeignSignature(publicKey, scheme, attributes, signature);
  if (holds === undefined) return fault('ALGORITHM', 'this program cannot verify its signature here');
  return holds ? undefined : fault('SIGNATURE', 'its signature is wrong');
}

const RSA = '1.2.840.113549.1.1.1';

/** Those that can be read: one that cannot leads nowhere. */
function usable(certificates: readonly Uint8Array[]): Certificate[] {
  return certificates.flatMap((der) => {
    try {
      return [parseCertificate(der)];
    } catch {
      return [];
    }
  });
}
