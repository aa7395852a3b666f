import type { Traceparent } from '../core/base/traceparent.ts';
import type { Intake } from './order.ts';

/** Maximum traces of one block; each is a line in the debug log. */
const MAX_TRACES = 16;

/** The traces of a block's batches, each once, recorded ones first. The first goes into the headers of the block's record. */
export function blockTraces(intakes: readonly Intake[]): readonly Traceparent[] {
  const traces = new Map<string, Traceparent>();
  for (const sampled of [true, false]) {
    for (const intake of intakes) {
      const trace = intake.kind === 'message' ? intake.traceparent : undefined;
      if (trace?.sampled !== sampled || traces.has(trace.traceId)) continue;
      if (traces.size === MAX_TRACES) return [...traces.values()];
      traces.set(trace.traceId, trace);
    }
  }
  return [...traces.values()];
}
