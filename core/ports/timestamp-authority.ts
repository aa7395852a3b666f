/** Carries requests to time-stamp authorities (RFC 3161 §3.4). What comes back is hostile bytes: the caller checks them. */
export interface TimestampAuthority {
  /**
   * Posts a TimeStampReq and gives the body of the answer, a TimeStampResp or anything else. Keeps nothing and tries once; the caller asks again, later.
   * Throws UNAVAILABLE where nothing answered in time, ANSWER_UNUSABLE where the answer is not a time-stamp reply or too long. Ends when `signal` aborts.
   */
  ask(url: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}
