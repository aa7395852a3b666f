import { importPublicKey, type PublicKey, verifyEd25519 } from '#crypto';
import { checkPublicKey } from './ed25519.ts';

/** First byte of an encoded public key: its algorithm (C2SP signed-note §Signatures). */
export const KEY_TYPE = { ed25519: 1, cosignature: 4 } as const;

/** A public key as its text form gives it: enough to verify with. */
export interface PublicKeyOfType {
  readonly type: number;
  /** As the algorithm encodes it; 32 bytes for Ed25519. */
  readonly publicKey: Uint8Array;
}

/** A public key ready for use. It is imported once, since the import costs more than a verification. */
export interface ImportedKey {
  readonly type: number;
  /** Undefined for an algorithm that this version does not know: such a key verifies nothing. */
  readonly imported: PublicKey | undefined;
}

/** The properties of one key type in this version. To add an algorithm, add its row to {@link ALGORITHMS}. */
interface Algorithm {
  readonly name: string;
  /** Whether the key signs messages as they are. A cosignature key signs a text together with a time (cosignature.ts). */
  readonly signsMessages: boolean;
  /** Throws KEY_INVALID for a public key that must not be registered. */
  readonly check: (publicKey: Uint8Array) => void;
  readonly import: (publicKey: Uint8Array) => PublicKey;
  readonly verify: (key: PublicKey, message: Uint8Array, signature: Uint8Array) => boolean;
}

const ED25519 = { check: checkPublicKey, import: importPublicKey, verify: verifyEd25519 };
const ALGORITHMS: ReadonlyMap<number, Algorithm> = new Map([
  [KEY_TYPE.ed25519, { name: 'Ed25519', signsMessages: true, ...ED25519 }],
  [KEY_TYPE.cosignature, { name: 'Ed25519 cosignature', signsMessages: false, ...ED25519 }],
]);

/** Names of the key types that sign messages, for texts. */
export const MESSAGE_KEY_NAMES = [...ALGORITHMS.values()].filter((algorithm) => algorithm.signsMessages).map(({ name }) => name);

/** Whether keys of this type sign messages as they are. */
export function signsMessages(type: number): boolean {
  return ALGORITHMS.get(type)?.signsMessages === true;
}

/** Refuses a public key that its algorithm must not use; throws KEY_INVALID. Passes a key of an unknown type, which verifies nothing. */
export function checkKeyMaterial({ type, publicKey }: PublicKeyOfType): void {
  ALGORITHMS.get(type)?.check(publicKey);
}

/** Imports a key. */
export function importKey({ type, publicKey }: PublicKeyOfType): ImportedKey {
  return { type, imported: ALGORITHMS.get(type)?.import(publicKey) };
}

/** Whether `key` signed the message. False for a key that does not sign messages as they are, and for an unknown type. Never throws. */
export function verifySignature(key: ImportedKey, message: Uint8Array, signature: Uint8Array): boolean {
  return signsMessages(key.type) && verifyBytes(key, message, signature);
}

/** Like {@link verifySignature}, for cosignature keys. `message` is the time and the text that such a key signs (C2SP tlog-cosignature). */
export function verifyCosigned(key: ImportedKey, message: Uint8Array, signature: Uint8Array): boolean {
  return key.type === KEY_TYPE.cosignature && verifyBytes(key, message, signature);
}

function verifyBytes({ type, imported }: ImportedKey, message: Uint8Array, signature: Uint8Array): boolean {
  return imported !== undefined && ALGORITHMS.get(type)?.verify(imported, message, signature) === true;
}
