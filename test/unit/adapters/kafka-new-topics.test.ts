import { expect, test } from '@jest/globals';
import { type TellingBroker, untilBrokersKnow } from '../../../adapters/kafka-new-topics.ts';

const UNKNOWN = new Error('This server does not host this topic-partition');

/** A clock that goes on only while somebody sleeps. */
function sleepers(): { sleep(ms: number): Promise<void>; monotonicMs(): number } {
  let now = 1_000;
  return {
    sleep: async (ms) => {
      now += ms;
    },
    monotonicMs: () => now,
  };
}

/** A broker that knows new topics when it is asked for the n-th time. */
function brokerFrom(n: number): TellingBroker & { asked: number; topics: readonly string[] } {
  return {
    asked: 0,
    topics: [],
    async metadata(topics) {
      this.topics = topics;
      if (++this.asked < n) throw UNKNOWN;
    },
  };
}

test('new topics are waited for until the slowest broker knows them', async () => {
  const [quick, slow] = [brokerFrom(1), brokerFrom(20)];
  await untilBrokersKnow(['a', 'b'], async () => [quick, slow], sleepers());
  expect([slow.asked, slow.topics, quick.asked]).toEqual([20, ['a', 'b'], 20]);
});

test('a broker that cannot be found for a moment is waited for', async () => {
  let finds = 0;
  const broker = brokerFrom(1);
  const find = async (): Promise<TellingBroker[]> => {
    if (++finds < 3) throw new Error('connection refused');
    return [broker];
  };
  await untilBrokersKnow(['a'], find, sleepers());
  expect([finds, broker.asked]).toEqual([3, 1]);
});

test('a broker that never knows the new topics is UNAVAILABLE, and the topics are said to be made', async () => {
  const never = brokerFrom(Number.POSITIVE_INFINITY);
  await expect(untilBrokersKnow(['a'], async () => [never], sleepers())).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(/does not host this topic-partition; they were made: repeat the command$/),
  });
});
