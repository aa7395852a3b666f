import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { utf8 } from '../../core/base/bytes.ts';
import { DER_TAG, encodeDer } from '../../core/base/der.ts';

/** DER of an object identifier. */
export function oid(dotted: string): Uint8Array {
  const [a = 0, b = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [a * 40 + b, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let more = Math.floor(arc / 128); more > 0; more = Math.floor(more / 128)) groups.unshift((more & 0x7f) | 0x80);
    return groups;
  });
  return encodeDer(DER_TAG.oid, Uint8Array.from(bytes));
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => encodeDer(DER_TAG.sequence, ...parts);
export const set = (...parts: readonly Uint8Array[]): Uint8Array => encodeDer(DER_TAG.set, ...parts);
export const octets = (bytes: Uint8Array): Uint8Array => encodeDer(DER_TAG.octetString, bytes);
export const integer = (...bytes: readonly number[]): Uint8Array => encodeDer(DER_TAG.integer, Uint8Array.from(bytes));
const TRUE = encodeDer(DER_TAG.boolean, Uint8Array.of(0xff));
const context = (n: number, ...parts: readonly Uint8Array[]): Uint8Array => encodeDer(0xa0 | n, ...parts);
const bits = (bytes: Uint8Array): Uint8Array => encodeDer(DER_TAG.bitString, Uint8Array.of(0), bytes);
const name = (text: string): Uint8Array => sequence(set(sequence(oid('2.5.4.3'), encodeDer(0x0c, utf8(text)))));
/** GeneralizedTime of whole seconds. */
export const time = (micros: number): Uint8Array =>
  encodeDer(DER_TAG.generalizedTime, utf8(`${new Date(micros / 1000).toISOString().replace(/\D/g, '').slice(0, 14)}Z`));

const ECDSA = sequence(oid('1.2.840.10045.4.3.2'));
const SHA256 = sequence(oid('2.16.840.1.101.3.4.2.1'));
export const SHA1 = sequence(oid('1.3.14.3.2.26'), encodeDer(DER_TAG.null));
export const STAMPING = '1.3.6.1.5.5.7.3.8';
const hashOf = (bytes: Uint8Array, how = 'sha256'): Uint8Array => createHash(how).update(bytes).digest();

/** An extension of a certificate. */
export function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  return sequence(oid(id), ...(critical ? [TRUE] : []), octets(value));
}

/** Extended key usage. */
export const usage = (critical: boolean, ...purposes: readonly string[]): Uint8Array =>
  extension('2.5.29.37', critical, sequence(...purposes.map(oid)));
export const IS_CA = extension('2.5.29.19', true, sequence(TRUE));

/** A certificate with its private key. */
export interface Holder {
  readonly der: Uint8Array;
  readonly name: string;
  /** Its number, DER. */
  readonly serial: Uint8Array;
  readonly key: KeyObject;
}

export interface CertificateOptions {
  readonly name: string;
  readonly issuer?: Holder;
  readonly extensions: readonly Uint8Array[];
  /** Microseconds. */
  readonly from?: number;
  readonly to?: number;
  /** Algorithm that the signed part names, where it is not the one beside the signature. */
  readonly algorithm?: Uint8Array;
}

const DAY = 86_400e6;
/** Certificates are valid for years around this time, unless the test says otherwise: noon of 2026-01-15. */
export const STAMP_EPOCH = Date.UTC(2026, 0, 15, 12) * 1000;
let issued = 0;

/** A certificate under a P-256 key; one without an issuer signs itself. */
export function makeCertificate({ name: subject, issuer, extensions, from, to, algorithm }: CertificateOptions): Holder {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const validity = sequence(time(from ?? STAMP_EPOCH - 3000 * DAY), time(to ?? STAMP_EPOCH + 3000 * DAY));
  issued += 1;
  const serial = integer(1 + (issued >> 8), issued & 0xff);
  const body = sequence(
    context(0, integer(2)),
    serial,
    algorithm ?? ECDSA,
    name(issuer?.name ?? subject),
    validity,
    name(subject),
    publicKey.export({ format: 'der', type: 'spki' }),
    ...(extensions.length === 0 ? [] : [context(3, sequence(...extensions))]),
  );
  const signature = sign('sha256', body, issuer?.key ?? privateKey);
  return { der: sequence(body, ECDSA, bits(signature)), name: subject, serial, key: privateKey };
}

/** A root, a CA under it, and a certificate that may sign time stamps. */
export interface StampChain {
  readonly root: Holder;
  readonly middle: Holder;
  readonly signer: Holder;
}

/** A chain as an honest authority has it; the extensions of the signer, or its validity, can be others. */
export function stampChain(signer: Partial<CertificateOptions> = {}): StampChain {
  const root = makeCertificate({ name: 'root', extensions: [IS_CA] });
  const middle = makeCertificate({ name: 'middle', issuer: root, extensions: [IS_CA] });
  return { root, middle, signer: makeCertificate({ name: 'signer', issuer: middle, extensions: [usage(true, STAMPING)], ...signer }) };
}

/** What differs from an honest time stamp. */
export interface StampChanges {
  readonly genTime?: number;
  /** The time as it is spelled, where it is spelled otherwise. */
  readonly spelledTime?: string;
  readonly imprint?: Uint8Array;
  readonly imprintAlgorithm?: Uint8Array;
  readonly policy?: string;
  readonly nonce?: Uint8Array;
  /** Further parts behind the time: accuracy, extensions. */
  readonly parts?: readonly Uint8Array[];
  /** The certificate that ESSCertIDv2 names. */
  readonly named?: Uint8Array;
  readonly attributes?: (honest: readonly Uint8Array[]) => readonly Uint8Array[];
  readonly certificates?: readonly Uint8Array[];
  readonly signers?: (honest: Uint8Array) => readonly Uint8Array[];
  readonly signature?: (honest: Uint8Array) => Uint8Array;
  readonly status?: number;
}

/** A signed attribute. */
export const attribute = (id: string, ...values: readonly Uint8Array[]): Uint8Array => sequence(oid(id), set(...values));
export const ESS_V2 = '1.2.840.113549.1.9.16.2.47';
const TST_INFO = '1.2.840.113549.1.9.16.1.4';

/** A TimeStampResp over `text`, made by the holder of the chain's keys. */
export function makeStamp(text: string, chain: StampChain, changes: StampChanges = {}): Uint8Array {
  const { signer, middle } = chain;
  const imprint = sequence(changes.imprintAlgorithm ?? SHA256, octets(changes.imprint ?? hashOf(utf8(text))));
  const nonce = changes.nonce === undefined ? [] : [encodeDer(DER_TAG.integer, changes.nonce)];
  const info = sequence(
    integer(1),
    oid(changes.policy ?? '1.2.3.4.1'),
    imprint,
    integer(7),
    changes.spelledTime === undefined
      ? time(changes.genTime ?? STAMP_EPOCH)
      : encodeDer(DER_TAG.generalizedTime, utf8(changes.spelledTime)),
    ...(changes.parts ?? []),
    ...nonce,
  );
  const attributes = [
    attribute('1.2.840.113549.1.9.3', oid(TST_INFO)),
    attribute('1.2.840.113549.1.9.4', octets(hashOf(info))),
    attribute(ESS_V2, sequence(sequence(sequence(octets(hashOf(changes.named ?? signer.der)))))),
  ];
  const signed = changes.attributes?.(attributes) ?? attributes;
  const signature = sign('sha256', set(...signed), signer.key);
  const id = sequence(name(middle.name), signer.serial);
  const honest = sequence(integer(1), id, SHA256, context(0, ...signed), ECDSA, octets(changes.signature?.(signature) ?? signature));
  const certificates = changes.certificates ?? [signer.der, middle.der];
  const data = sequence(
    integer(3),
    set(SHA256),
    sequence(oid(TST_INFO), context(0, octets(info))),
    ...(certificates.length === 0 ? [] : [context(0, ...certificates)]),
    set(...(changes.signers?.(honest) ?? [honest])),
  );
  return sequence(sequence(integer(changes.status ?? 0)), sequence(oid('1.2.840.113549.1.7.2'), context(0, data)));
}
