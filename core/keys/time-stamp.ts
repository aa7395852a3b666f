import type { Sha2 } from '#crypto';
import {
  contextTag,
  DER_TAG,
  type DerElement,
  DerReader,
  derBoolean,
  derInteger,
  derOid,
  derSmallInteger,
  derTime,
  encodeDer,
  plainContextTag,
  readDer,
} from '../base/der.ts';
import { LineproofError, messageOf } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { algorithmOf } from './certificate.ts';

/** A time stamp as its bytes state it (RFC 3161); nothing in it is proven. time-stamp-check.ts proves it. */
export interface TimeStamp {
  readonly policy: string;
  /** Undefined for another hash function. */
  readonly imprintHash: Sha2 | undefined;
  readonly imprint: Uint8Array;
  /** When it was signed, and how exact that is: microseconds. */
  readonly genTime: number;
  readonly accuracy: number;
  readonly nonce: Uint8Array | undefined;
  readonly hasUnknownExtension: boolean;
  /** Certificates in it, DER. */
  readonly certificates: readonly Uint8Array[];
  readonly signer: StampSigner;
}

/** The one signature over a time stamp, with the attributes that it covers. */
export interface StampSigner {
  /** The signed part: the bytes of TSTInfo. */
  readonly content: Uint8Array;
  /** The attributes as they were signed. */
  readonly attributes: Uint8Array;
  readonly digestHash: Sha2 | undefined;
  readonly messageDigest: Uint8Array;
  /** From ESSCertIDv2: hash of the signer's certificate; undefined where the attribute is missing. */
  readonly certificateHash: { readonly hash: Sha2 | undefined; readonly value: Uint8Array } | undefined;
  /** Signature algorithm, an object identifier; undefined where it has parameters. */
  readonly algorithm: string | undefined;
  readonly signature: Uint8Array;
}

const OID = {
  signedData: '1.2.840.113549.1.7.2',
  tstInfo: '1.2.840.113549.1.9.16.1.4',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
} as const;
const HASHES: ReadonlyMap<string | undefined, Sha2> = new Map([
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);
/** AlgorithmIdentifier of SHA-256 with NULL, as most clients send it. */
const SHA256_IDENTIFIER = Uint8Array.of(0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0);
/** PKIStatus: granted, grantedWithMods. */
const GRANTED: readonly number[] = [0, 1];

function invalid(reason: string): LineproofError {
  return new LineproofError('FORMAT_INVALID', `cannot read time stamp: ${reason}`);
}

/** A TimeStampReq over a SHA-256 digest, which asks for the certificates. `nonce`: bytes of which the first has its top bit clear and is not 0. */
export function encodeStampRequest(digest: Uint8Array, nonce: Uint8Array): Uint8Array {
  const imprint = encodeDer(DER_TAG.sequence, SHA256_IDENTIFIER, encodeDer(DER_TAG.octetString, digest));
  const version = encodeDer(DER_TAG.integer, Uint8Array.of(1));
  const wantsCertificates = encodeDer(DER_TAG.boolean, Uint8Array.of(0xff));
  return encodeDer(DER_TAG.sequence, version, imprint, encodeDer(DER_TAG.integer, nonce), wantsCertificates);
}

/** The status of a TimeStampResp, and the time stamp where it was granted. Throws FORMAT_INVALID. */
export function parseStampReply(reply: Uint8Array): TimeStamp | { readonly refused: string } {
  if (reply.length > LIMITS.stampBytes) throw invalid(`it has more than ${LIMITS.stampBytes} bytes`);
  try {
    const outer = readDer(reply, DER_TAG.sequence);
    const info = outer.into(DER_TAG.sequence);
    const status = derSmallInteger(info.next(DER_TAG.integer));
    if (!GRANTED.includes(status)) return { refused: `status ${status}` };
    const token = outer.next(DER_TAG.sequence);
    outer.end();
    return readToken(new DerReader(token.content));
  } catch (error) {
    throw error instanceof LineproofError && error.message.startsWith('cannot read time stamp') ? error : invalid(messageOf(error));
  }
}

function readToken(content: DerReader): TimeStamp {
  if (derOid(content.next(DER_TAG.oid)) !== OID.signedData) throw invalid('it is not signed data');
  const signed = readDer(content.next(contextTag(0)).content, DER_TAG.sequence);
  content.end();
  derSmallInteger(signed.next(DER_TAG.integer));
  signed.next(DER_TAG.set);
  const encapsulated = signed.into(DER_TAG.sequence);
  if (derOid(encapsulated.next(DER_TAG.oid)) !== OID.tstInfo) throw invalid('what is signed is not a time stamp');
  const octets = new DerReader(encapsulated.next(contextTag(0)).content);
  const info = octets.next(DER_TAG.octetString).content;
  octets.end();
  encapsulated.end();
  const certificates = signed.optional(contextTag(0));
  signed.optional(contextTag(1));
  const signers = signed.into(DER_TAG.set).rest();
  signed.end();
  if (signers.length !== 1) throw invalid(`it has ${signers.length} signers instead of one`);
  const held = certificates === undefined ? [] : new DerReader(certificates.content).rest();
  const signer = readSigner(new DerReader((signers[0] as { content: Uint8Array }).content), info);
  return { ...readInfo(info), certificates: held.map(({ whole }) => whole), signer };
}

function readInfo(bytes: Uint8Array): Omit<TimeStamp, 'certificates' | 'signer'> {
  const info = readDer(bytes, DER_TAG.sequence);
  if (derSmallInteger(info.next(DER_TAG.integer)) !== 1) throw invalid('it is of another version');
  const policy = derOid(info.next(DER_TAG.oid));
  const message = info.into(DER_TAG.sequence);
  const imprintHash = HASHES.get(algorithmOf(message.into(DER_TAG.sequence)));
  const imprint = message.next(DER_TAG.octetString).content;
  message.end();
  derInteger(info.next(DER_TAG.integer));
  const time = info.next(DER_TAG.generalizedTime);
  const accuracy = info.optional(DER_TAG.sequence);
  const ordering = info.optional(DER_TAG.boolean);
  if (ordering !== undefined) derBoolean(ordering);
  const nonce = info.optional(DER_TAG.integer);
  info.optional(contextTag(0));
  const extensions = info.optional(contextTag(1));
  info.end();
  return {
    policy,
    imprintHash,
    imprint,
    genTime: derTime(time),
    accuracy: accuracy === undefined ? 0 : readAccuracy(new DerReader(accuracy.content)),
    nonce: nonce === undefined ? undefined : derInteger(nonce),
    hasUnknownExtension: extensions !== undefined && hasCritical(new DerReader(extensions.content)),
  };
}

function readAccuracy(reader: DerReader): number {
  let micros = 0;
  const seconds = reader.optional(DER_TAG.integer);
  if (seconds !== undefined) micros += derSmallInteger(seconds) * 1e6;
  for (const [n, unit] of [
    [0, 1000],
    [1, 1],
  ] as const) {
    const part = reader.optional(plainContextTag(n));
    if (part !== undefined) micros += derSmallInteger(part) * unit;
  }
  reader.end();
  return micros;
}

function hasCritical(extensions: DerReader): boolean {
  return extensions.rest().some(({ content }) => {
    const extension = new DerReader(content);
    derOid(extension.next(DER_TAG.oid));
    const critical = extension.optional(DER_TAG.boolean);
    return critical !== undefined && derBoolean(critical);
  });
}

function readSigner(signer: DerReader, content: Uint8Array): StampSigner {
  derSmallInteger(signer.next(DER_TAG.integer));
  // Names the certificate by issuer and number, or by key id; ESSCertIDv2 names it by its hash, and that alone is used.
  signer.next();
  const digestHash = HASHES.get(algorithmOf(signer.into(DER_TAG.sequence)));
  const attributes = signer.next(contextTag(0));
  const algorithm = algorithmOf(signer.into(DER_TAG.sequence));
  const signature = signer.next(DER_TAG.octetString).content;
  signer.optional(contextTag(1));
  signer.end();
  // The signature covers them under the tag of a set (RFC 5652 §5.4).
  const signed = attributes.whole.slice();
  signed[0] = DER_TAG.set;
  return { content, attributes: signed, digestHash, ...readAttributes(attributes.content), algorithm, signature };
}

function readAttributes(bytes: Uint8Array): Pick<StampSigner, 'messageDigest' | 'certificateHash'> {
  const values = new Map<string, Uint8Array>();
  for (const { content } of new DerReader(bytes).rest()) {
    const attribute = new DerReader(content);
    const oid = derOid(attribute.next(DER_TAG.oid));
    const set = attribute.next(DER_TAG.set).content;
    attribute.end();
    if (values.has(oid)) throw invalid(`the signed attribute ${oid} is there twice`);
    values.set(oid, set);
  }
  const type = onlyValue(values.get(OID.contentType), DER_TAG.oid, 'content type');
  if (derOid(type) !== OID.tstInfo) throw invalid('its signed content type is another one');
  const digest = onlyValue(values.get(OID.messageDigest), DER_TAG.octetString, 'message digest');
  const ess = values.get(OID.signingCertificateV2);
  return { messageDigest: digest.content, certificateHash: ess === undefined ? undefined : readEss(ess) };
}

function onlyValue(set: Uint8Array | undefined, tag: number, what: string): DerElement {
  if (set === undefined) throw invalid(`it has no signed ${what}`);
  const reader = new DerReader(set);
  const element = reader.next(tag);
  reader.end();
  return element;
}

/** The first ESSCertIDv2 (RFC 5035 §4), which is that of the signer. Its hash is SHA-256 where it does not say. */
function readEss(set: Uint8Array): NonNullable<StampSigner['certificateHash']> {
  const certificate = readDer(set, DER_TAG.sequence).into(DER_TAG.sequence).into(DER_TAG.sequence);
  const hash = certificate.tag === DER_TAG.sequence ? HASHES.get(algorithmOf(certificate.into(DER_TAG.sequence))) : 'sha256';
  return { hash, value: certificate.next(DER_TAG.octetString).content };
}
