import { expect } from '@jest/globals';
import { importPublicKey, sha256, verifyEd25519 } from '#crypto';
import { concat, toHex, utf8 } from '../../core/base/bytes.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { openNote, signNote } from '../../core/keys/note.ts';
import { KEY_TYPE } from '../../core/keys/signature.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { contract, type Exceptions } from './contract.ts';

/** What every {@link Signer} must do. `open` gives the same key each time. */
export function signerContract(name: string, open: () => Promise<Signer>, exceptions: Exceptions = {}): void {
  contract(`Signer: ${name}`, exceptions, (clause) => {
    clause('its verifier key is a C2SP note key of its name, with the id that name and key make', async () => {
      const signer = await open();
      const key = parseVerifierKey(signer.verifierKey);
      expect([key.name, toHex(key.id), key.type]).toEqual([signer.name, toHex(signer.keyId), KEY_TYPE.ed25519]);
      const made = sha256(concat(utf8(signer.name), Uint8Array.of(0x0a, KEY_TYPE.ed25519), key.publicKey)).slice(0, 4);
      expect(toHex(signer.keyId)).toBe(toHex(made));
    });

    clause('a signature has 64 bytes and verifies by the verifier key, over any message', async () => {
      const signer = await open();
      const key = importPublicKey(parseVerifierKey(signer.verifierKey).publicKey);
      for (const message of [new Uint8Array(0), utf8('one'), new Uint8Array(1_000_000).fill(0xff)]) {
        const signature = await signer.sign(message);
        expect([signature.length, verifyEd25519(key, message, signature)]).toEqual([64, true]);
        expect(verifyEd25519(key, concat(message, Uint8Array.of(0)), signature)).toBe(false);
      }
    });

    clause('the same message gives the same signature, also at the same time and after opening again', async () => {
      const signer = await open();
      const message = utf8('the same');
      const signatures = await Promise.all([signer, signer, await open()].map((each) => each.sign(message)));
      expect(new Set(signatures.map(toHex)).size).toBe(1);
    });

    clause('a note that it signs opens by its verifier key', async () => {
      const signer = await open();
      const note = await signNote('example.org/log\n1\n', signer);
      expect(openNote(note, [parseVerifierKey(signer.verifierKey)]).verified.map((line) => line.name)).toEqual([signer.name]);
    });

    clause('none of its readable properties is its secret', async () => {
      const signer = await open();
      expect(Object.keys(signer).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['keyId', 'name', 'sign', 'verifierKey']);
      expect(JSON.stringify(signer)).not.toContain('PRIVATE');
    });
  });
}
