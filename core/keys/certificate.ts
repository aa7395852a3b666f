import type { SignatureScheme } from '#crypto';
import {
  contextTag,
  DER_TAG,
  type DerElement,
  DerReader,
  derBitBytes,
  derBoolean,
  derInteger,
  derOid,
  derSmallInteger,
  derTime,
  readDer,
} from '../base/der.ts';
import { LineproofError, messageOf } from '../base/errors.ts';

/** One X.509 certificate (RFC 5280), as far as the check of a time stamp needs it. Nothing in it is proven. */
export interface Certificate {
  readonly der: Uint8Array;
  /** The part that its issuer signed. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** Undefined where this version does not know the algorithm. */
  readonly scheme: SignatureScheme | undefined;
  /** Names and key as DER. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly serial: Uint8Array;
  /** Microseconds, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** By object identifier. */
  readonly extensions: ReadonlyMap<string, Extension>;
}

interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Bytes of a certificate that are read. */
export const CERTIFICATE_BYTES = 8 * 1024;

const SCHEMES: ReadonlyMap<string, SignatureScheme> = new Map([
  ['1.2.840.113549.1.1.11', { kind: 'rsa', hash: 'sha256' }],
  ['1.2.840.113549.1.1.12', { kind: 'rsa', hash: 'sha384' }],
  ['1.2.840.113549.1.1.13', { kind: 'rsa', hash: 'sha512' }],
  ['1.2.840.10045.4.3.2', { kind: 'ecdsa', hash: 'sha256' }],
  ['1.2.840.10045.4.3.3', { kind: 'ecdsa', hash: 'sha384' }],
  ['1.2.840.10045.4.3.4', { kind: 'ecdsa', hash: 'sha512' }],
  ['1.3.101.112', { kind: 'ed25519', hash: 'sha512' }],
]);

/** Object identifier of an AlgorithmIdentifier whose parameters are absent or NULL; undefined where it has others. */
export function algorithmOf(reader: DerReader): string | undefined {
  const oid = derOid(reader.next(DER_TAG.oid));
  if (reader.done) return oid;
  const isNull = reader.next().whole.length === 2 && reader.done;
  return isNull ? oid : undefined;
}

/** The scheme of a signature algorithm; undefined for one that this version does not know, such as any with SHA-1. */
export function schemeOf(oid: string | undefined): SignatureScheme | undefined {
  return oid === undefined ? undefined : SCHEMES.get(oid);
}

/** Reads one certificate. Throws FORMAT_INVALID. */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > CERTIFICATE_BYTES)
    throw new LineproofError('FORMAT_INVALID', `cannot read certificate: it has more than ${CERTIFICATE_BYTES} bytes`);
  try {
    return readCertificate(der);
  } catch (error) {
    throw new LineproofError('FORMAT_INVALID', `cannot read certificate: ${messageOf(error)}`, {}, error);
  }
}

function readCertificate(der: Uint8Array): Certificate {
  const outer = readDer(der, DER_TAG.sequence);
  const body = outer.next(DER_TAG.sequence);
  const algorithm = outer.next(DER_TAG.sequence);
  const signature = derBitBytes(outer.next(DER_TAG.bitString));
  outer.end();
  const inner = new DerReader(body.content);
  const version = inner.optional(contextTag(0));
  if (version === undefined || derSmallInteger(new DerReader(version.content).next(DER_TAG.integer)) !== 2) throw wrong('version');
  const serial = derInteger(inner.next(DER_TAG.integer));
  if (!sameBytes(inner.next(DER_TAG.sequence).whole, algorithm.whole)) throw wrong('algorithm');
  const issuer = inner.next(DER_TAG.sequence).whole;
  const validity = inner.into(DER_TAG.sequence);
  const [notBefore, notAfter] = [derTime(validity.next()), derTime(validity.next())];
  validity.end();
  const subject = inner.next(DER_TAG.sequence).whole;
  const publicKey = inner.next(DER_TAG.sequence).whole;
  for (const tag of [0x81, 0x82]) inner.optional(tag);
  const extensions = readExtensions(inner.optional(contextTag(3)));
  inner.end();
  const scheme = schemeOf(algorithmOf(new DerReader(algorithm.content)));
  return { der, signed: body.whole, signature, scheme, issuer, subject, publicKey, serial, notBefore, notAfter, extensions };
}

function readExtensions(element: DerElement | undefined): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  if (element === undefined) return extensions;
  const list = readDer(element.content, DER_TAG.sequence);
  while (!list.done) {
    const one = list.into(DER_TAG.sequence);
    const oid = derOid(one.next(DER_TAG.oid));
    const critical = one.tag === DER_TAG.boolean && derBoolean(one.next(DER_TAG.boolean));
    const value = one.next(DER_TAG.octetString).content;
    one.end();
    if (extensions.has(oid)) throw wrong(`extension ${oid}, which is there twice`);
    extensions.set(oid, { critical, value });
  }
  return extensions;
}

function wrong(part: string): LineproofError {
  return new LineproofError('FORMAT_INVALID', `cannot use its ${part}`);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const OID = {
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  certificatePolicies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
} as const;
/** Critical extensions that are judged here, or that restrict nothing which a time stamp claims. */
const UNDERSTOOD: readonly string[] = Object.values(OID);
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const ANY_USAGE = '2.5.29.37.0';
/** First byte of KeyUsage. */
const USAGE = { digitalSignature: 0x80, nonRepudiation: 0x40, keyCertSign: 0x04 } as const;

/** Why the certificate may not sign time stamps: RFC 3161 §2.3 wants a critical extended key usage with timeStamping alone. Undefined if it may. */
export function stampingFault({ extensions }: Certificate): string | undefined {
  const usage = extensions.get(OID.extendedKeyUsage);
  if (usage === undefined) return 'it has no extended key usage';
  if (!usage.critical) return 'its extended key usage is not critical';
  const purposes = purposesOf(usage);
  if (purposes.length !== 1 || purposes[0] !== TIME_STAMPING) return 'its extended key usage is not timeStamping alone';
  const bits = usageBits(extensions);
  if (bits !== undefined && (bits === 0 || (bits & ~(USAGE.digitalSignature | USAGE.nonRepudiation)) !== 0))
    return 'its key usage allows more than signatures, or no signatures';
  return unknownFault(extensions);
}

/** Why the certificate may not issue one with `below` further certificates of issuers under it. Undefined if it may. */
export function issuingFault({ extensions }: Certificate, below: number): string | undefined {
  const constraints = extensions.get(OID.basicConstraints);
  if (constraints === undefined) return 'it is not the certificate of a CA';
  const reader = readDer(constraints.value, DER_TAG.sequence);
  if (reader.tag !== DER_TAG.boolean || !derBoolean(reader.next())) return 'it is not the certificate of a CA';
  if (!reader.done && derSmallInteger(reader.next(DER_TAG.integer)) < below) return 'more certificates follow than it allows';
  const bits = usageBits(extensions);
  if (bits !== undefined && (bits & USAGE.keyCertSign) === 0) return 'its key usage does not allow it to sign certificates';
  const usage = extensions.get(OID.extendedKeyUsage);
  if (usage !== undefined && !purposesOf(usage).some((purpose) => purpose === TIME_STAMPING || purpose === ANY_USAGE))
    return 'its extended key usage excludes timeStamping';
  return unknownFault(extensions);
}

function unknownFault(extensions: Certificate['extensions']): string | undefined {
  const unknown = [...extensions].find(([oid, { critical }]) => critical && !UNDERSTOOD.includes(oid));
  return unknown === undefined ? undefined : `it has a critical extension ${unknown[0]} that this version does not know`;
}

function purposesOf({ value }: Extension): string[] {
  const purposes = readDer(value, DER_TAG.sequence).rest();
  return purposes.map((element) => (element.tag === DER_TAG.oid ? derOid(element) : ''));
}

function usageBits(extensions: Certificate['extensions']): number | undefined {
  const usage = extensions.get(OID.keyUsage);
  if (usage === undefined) return undefined;
  const { content } = new DerReader(usage.value).next(DER_TAG.bitString);
  // A second byte has decipherOnly alone, which a key for signatures must not have.
  return content.length > 2 ? 0xff : (content[1] ?? 0);
}
