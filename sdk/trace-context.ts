import { fromHex } from '../core/bytes.ts';

const OPENTELEMETRY = Symbol.for('opentelemetry.js.api.1');
const SPAN_KEY_NAME = 'OpenTelemetry Context Key SPAN';

interface Api {
  readonly context?: { active?(): { getValue?(key: symbol): unknown } | undefined };
}

/** W3C trace context of the active span, where the service has loaded OpenTelemetry's API and a span is active; never throws. */
export function activeTrace(): { readonly traceId: Uint8Array; readonly spanId: Uint8Array } | null {
  const api = (globalThis as { readonly [OPENTELEMETRY]?: Api })[OPENTELEMETRY as never] as Api | undefined;
  if (api === undefined) return null;
  try {
    const context = api.context?.active?.();
    // The API makes its context keys with Symbol.for of this name (src/trace/context-utils, src/context/context).
    const span = context?.getValue?.(Symbol.for(SPAN_KEY_NAME)) as { spanContext?(): { traceId?: unknown; spanId?: unknown } } | undefined;
    const { traceId, spanId } = span?.spanContext?.() ?? {};
    if (typeof traceId !== 'string' || typeof spanId !== 'string') return null;
    if (!/^[0-9a-f]{32}$/.test(traceId) || !/^[0-9a-f]{16}$/.test(spanId) || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
    return { traceId: fromHex(traceId), spanId: fromHex(spanId) };
  } catch {
    return null;
  }
}
