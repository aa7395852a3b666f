import { fromHex } from '../core/base/bytes.ts';
import type { EventTrace } from '../core/formats/event.ts';

const OPENTELEMETRY = Symbol.for('opentelemetry.js.api.1');
const SPAN_KEY_NAME = 'OpenTelemetry Context Key SPAN';
const SAMPLED = 1;

interface Api {
  readonly context?: { active?(): { getValue?(key: symbol): unknown } | undefined };
}

interface SpanContext {
  readonly traceId?: unknown;
  readonly spanId?: unknown;
  readonly traceFlags?: unknown;
}

/** W3C trace context of the active span; null if the service has not loaded OpenTelemetry's API, or no span is active. Never throws. */
export function activeTrace(): EventTrace | null {
  const api = (globalThis as { readonly [OPENTELEMETRY]?: Api })[OPENTELEMETRY as never] as Api | undefined;
  if (api === undefined) return null;
  try {
    const context = api.context?.active?.();
    // The API makes its context keys with Symbol.for of this name (src/trace/context-utils, src/context/context).
    const span = context?.getValue?.(Symbol.for(SPAN_KEY_NAME)) as { spanContext?(): SpanContext } | undefined;
    const { traceId, spanId, traceFlags } = span?.spanContext?.() ?? {};
    if (typeof traceId !== 'string' || typeof spanId !== 'string') return null;
    if (!/^[0-9a-f]{32}$/.test(traceId) || !/^[0-9a-f]{16}$/.test(spanId) || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
    return { traceId: fromHex(traceId), spanId: fromHex(spanId), sampled: (Number(traceFlags) & SAMPLED) === SAMPLED };
  } catch {
    return null;
  }
}
