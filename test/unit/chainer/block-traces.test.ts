import { expect, test } from '@jest/globals';
import { blockTraces } from '../../../chainer/block-traces.ts';
import type { Intake } from '../../../chainer/order.ts';
import { formatTraceparent, type Traceparent } from '../../../core/base/traceparent.ts';

const NOTHING = new Uint8Array(0);

function trace(number: number, sampled: boolean): Traceparent {
  return formatTraceparent(new Uint8Array(16).fill(number), new Uint8Array(8).fill(1), sampled) as Traceparent;
}

function message(traceparent?: Traceparent): Intake {
  return {
    kind: 'message',
    offset: 0,
    timestampMicros: 0,
    value: NOTHING,
    check: { kind: 'rejected', reason: 1, proof: null },
    traceparent,
  };
}

test('a block has each trace of its input once, those that are recorded first', () => {
  const [a, b, c] = [trace(1, false), trace(2, true), trace(3, true)];
  const empty: Intake = { kind: 'empty', offset: 0, span: 2 };
  expect(blockTraces([message(a), empty, message(), message(b), message(a), message(c), message(b)])).toEqual([b, c, a]);
  expect(blockTraces([message(), empty])).toEqual([]);
});

test('a trace that one batch recorded and another did not counts as recorded', () => {
  expect(blockTraces([message(trace(1, false)), message(trace(1, true))])).toEqual([trace(1, true)]);
});

test('a block names no more than sixteen traces, and the recorded ones are not crowded out', () => {
  const many = Array.from({ length: 200 }, (_, i) => message(trace(i + 1, false)));
  const traces = blockTraces([...many, message(trace(250, true))]);
  expect(traces).toHaveLength(16);
  expect(traces[0]).toEqual(trace(250, true));
});
