/** A private key that may live elsewhere (file, command, HSM). Never exposes its secret. */
export interface Signer {
  /** Key name, C2SP signed-note. */
  readonly name: string;
  /** 4 bytes: `H(name ‖ 0x0A ‖ type ‖ publicKey)[:4]`. */
  readonly keyId: Uint8Array;
  /** `name+hex(id)+base64(type ‖ publicKey)`. */
  readonly verifierKey: string;
  /** Ed25519 signature over `message`, 64 bytes; the same message always gives the same signature. Throws KEY_UNREADABLE or UNAVAILABLE. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}
