import { readFileSync } from 'node:fs';
import { sha256 } from '#crypto';
import { utf8 } from '../../../../core/base/bytes.ts';
import { LineproofError } from '../../../../core/base/errors.ts';
import { keySigner, parseVerifierKey, type VerifierKey } from '../../../../core/keys/key.ts';
import type { Signer } from '../../../../core/ports/signer.ts';

/** A file of test/vectors/keys. */
export function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../../vectors/keys/${name}`, import.meta.url), 'utf8'));
}

/** The code of the LineproofError that `call` throws; undefined where it returns. Any other exception passes. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof LineproofError) return error.code;
    throw error;
  }
}

/** The message of what `call` throws. */
export function messageOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

/** A signer whose seed is derived from `secret`, its name unless said otherwise. */
export function signerOf(secret: string, name = secret): Signer {
  return keySigner(name, sha256(utf8(secret)));
}

/** The same key pair as a verifier knows it. */
export function verifierOf(secret: string, name = secret): VerifierKey {
  return parseVerifierKey(signerOf(secret, name).verifierKey);
}
