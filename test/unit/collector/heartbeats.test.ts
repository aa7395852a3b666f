import { describe, expect, test } from '@jest/globals';
import { Heartbeats } from '../../../collector/heartbeats.ts';
import { Lane } from '../../../collector/lane.ts';
import { LIMITS } from '../../../core/base/limits.ts';
import { testClock } from '../../support/memory.ts';

describe('the statements of a heartbeat', () => {
  /** Numbers of lanes in each heartbeat, with the heartbeat's own, of a collector that ends so many lanes of an earlier epoch. */
  function pages(lanes: number): { readonly lengths: number[]; readonly final: boolean[] } {
    const home = new Lane(0);
    const heartbeats = new Heartbeats({ epoch: new Uint8Array(16), lanes: [home], home, clock: testClock(), everyMs: 1000 });
    heartbeats.demand('final');
    const ended = new Map(
      Array.from({ length: lanes }, (_, shard) => [shard, { number: 1, seq: 1, acknowledgedNumber: 1, acknowledgedSeq: 1 }]),
    );
    const earlier = { epoch: new Uint8Array(16).fill(1), lanes: ended, batches: [], segments: [], moved: true, done: false };
    const statements = heartbeats.statements([earlier]);
    return { lengths: statements.map((each) => each.lanes.length + 1), final: statements.map(({ final }) => final) };
  }

  test.each([
    [0, [1]],
    [78, [79]],
    [79, [80, 1]],
    [80, [80, 2]],
    [158, [80, 80, 1]],
  ])('about %d lanes are complete with the one that has room left: %j', (lanes, lengths) => {
    expect(LIMITS.heartbeatLanes).toBe(80);
    expect(pages(lanes)).toEqual({ lengths, final: lengths.map((_, i) => i === lengths.length - 1) });
  });
});
