import { toHex, utf8 } from './bytes.ts';

/** Name of the header that carries a trace context on a message (W3C Trace Context). */
export const TRACEPARENT = 'traceparent';

/** A span as a message's header states it. It is a hint for a search: no signature covers the headers of messages. */
export interface Traceparent {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Whether the span said that it is recorded. */
  readonly sampled: boolean;
  /** The header's value. */
  readonly header: Uint8Array;
}

/** The only version that exists. A value of a later version may be longer, and is ignored. */
const FORM = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const BYTES = 55;

/** The header of a span; undefined for ids that no span can have. */
export function formatTraceparent(traceId: Uint8Array, spanId: Uint8Array, sampled: boolean): Traceparent | undefined {
  return parseTraceparent(utf8(`00-${toHex(traceId)}-${toHex(spanId)}-${sampled ? '01' : '00'}`));
}

/** Reads a header's value, which anybody who writes to the topic may have put there; undefined unless it has the one form. */
export function parseTraceparent(header: Uint8Array | undefined): Traceparent | undefined {
  if (header?.length !== BYTES) return undefined;
  const [, traceId = '', spanId = '', flags = ''] = FORM.exec(String.fromCharCode(...header)) ?? [];
  if (!/[1-9a-f]/.test(traceId) || !/[1-9a-f]/.test(spanId)) return undefined;
  return { traceId, sampled: (Number.parseInt(flags, 16) & 1) === 1, header };
}
