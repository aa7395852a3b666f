import { describe, expect, test } from '@jest/globals';
import {
  genesis,
  type Lane,
  type LogDelta,
  type LogHead,
  LogState,
  laneKey,
  overlay,
  parseLaneKey,
} from '../../../../core/acceptance/log-state.ts';
import { EMPTY_FRONTIER } from '../../../../core/tree/frontier.ts';
import { testId } from '../../../support/producer.ts';

const head: LogHead = genesis('example.org/log', 3, 16);
const lane = (appendedAt: number): Lane => ({ number: 1, hash: testId(`lane ${appendedAt}`), appendedAt });
const end = (index: number) => ({ index, hash: testId(`link ${index}`), logIndex: index + 10, producer: 'p' });

function delta(part: Partial<LogDelta>): LogDelta {
  return { head: { ...head, size: 5 }, streams: new Map(), lanes: new Map(), lanesFrom: 0, ...part };
}

test('the state before the first block is the one that the formats document gives', () => {
  expect(head).toEqual({
    origin: 'example.org/log',
    shard: 3,
    shards: 16,
    size: 0,
    frontier: EMPTY_FRONTIER,
    seal: new Uint8Array(32),
    inputGeneration: 0,
    inputTo: 0,
    appendedAt: 0,
    acceptedAt: 0,
    policy: null,
    final: false,
  });
});

test('a lane key gives back producer and epoch', () => {
  const epoch = testId('epoch');
  expect(parseLaneKey(laneKey('a name/with:anything', epoch))).toEqual({ producer: 'a name/with:anything', epoch });
});

describe('a state', () => {
  test('after a delta has its head, streams and lanes, and keeps the others', () => {
    const state = new LogState(
      head,
      [
        ['old', end(1)],
        ['both', end(2)],
      ],
      [['old', lane(1)]],
    );
    const change = delta({
      streams: new Map([
        ['both', end(3)],
        ['new', end(0)],
      ]),
      lanes: new Map([['new', lane(2)]]),
    });
    expect(state.apply(change)).toEqual([]);
    expect(state.head).toBe(change.head);
    expect([...state.streams]).toEqual([
      ['old', end(1)],
      ['both', end(3)],
      ['new', end(0)],
    ]);
    expect([state.stream('both'), state.stream('none'), state.streamCount]).toEqual([end(3), undefined, 3]);
    expect([...state.lanes]).toEqual([
      ['old', lane(1)],
      ['new', lane(2)],
    ]);
  });

  test('forgets the lanes whose last header is too old, whatever the order in which it got them', () => {
    const state = new LogState(
      head,
      [],
      [
        ['c', lane(30)],
        ['a', lane(10)],
        ['b', lane(20)],
      ],
    );
    expect(state.apply(delta({ lanes: new Map([['a', lane(40)]]), lanesFrom: 30 }))).toEqual(['b']);
    expect([...state.lanes].map(([key]) => key)).toEqual(['c', 'a']);
    expect(state.apply(delta({ lanesFrom: 41 }))).toEqual(['c', 'a']);
    expect([state.lane('a'), [...state.lanes]]).toEqual([undefined, []]);
  });
});

describe('an overlay', () => {
  test('shows what the state will be, and leaves the state as it is', () => {
    const parts = [
      [
        ['s', end(1)],
        ['kept', end(4)],
      ],
      [
        ['old', lane(10)],
        ['moved', lane(11)],
        ['edge', lane(20)],
        ['kept', lane(25)],
      ],
    ] as const;
    const state = new LogState(head, ...parts);
    const change = delta({ streams: new Map([['s', end(2)]]), lanes: new Map([['moved', lane(30)]]), lanesFrom: 20 });
    const after = overlay(state, change);
    const shown = () => [
      ['s', 'kept', 'none'].map((name) => after.stream(name)),
      ['old', 'moved', 'edge', 'kept', 'none'].map((key) => after.lane(key)),
    ];
    const before = shown();
    expect(before).toEqual([
      [end(2), end(4), undefined],
      [undefined, lane(30), lane(20), lane(25), undefined],
    ]);
    expect([state.head, state.stream('s'), state.lane('old')]).toEqual([head, end(1), lane(10)]);
    state.apply(change);
    expect([
      ['s', 'kept', 'none'].map((name) => state.stream(name)),
      ['old', 'moved', 'edge', 'kept', 'none'].map((key) => state.lane(key)),
    ]).toEqual(before);
    expect(after.head).toBe(state.head);
  });
});
