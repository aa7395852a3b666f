/** One RFC 3161 authority. */
export interface TimestampAuthority {
  /** Short name used in object keys: a–z, 0–9 and `-`. */
  readonly name: string;
  /** The whole TimeStampResp (DER) over a SHA-256 digest, certificate and nonce included, nonce checked. Throws UNAVAILABLE; the caller retries. */
  timestamp(digest: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}
