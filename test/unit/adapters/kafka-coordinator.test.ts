import { expect, test } from '@jest/globals';
import { askCoordinator } from '../../../adapters/kafka-client.ts';

/** Fails so often with `error`, then answers. */
function failing(times: number, error: object): { readonly ask: () => Promise<string>; readonly asked: () => number } {
  let asked = 0;
  return {
    ask: async () => {
      if (asked++ < times) throw error;
      return 'here';
    },
    asked: () => asked,
  };
}

const gone = new Error('Failed to find group coordinator');

test('a coordinator that is being made is waited for', async () => {
  const { ask, asked } = failing(2, gone);
  expect([await askCoordinator('join', ask), asked()]).toEqual(['here', 3]);
});

test('a setting that forbids it is said at once', async () => {
  const { ask, asked } = failing(1, Object.assign(new Error('no'), { type: 'GROUP_AUTHORIZATION_FAILED' }));
  await expect(askCoordinator('join', ask)).rejects.toMatchObject({ code: 'REFUSED' });
  expect(asked()).toBe(1);
});

test('an abort ends the wait', async () => {
  const { ask, asked } = failing(100, gone);
  await expect(askCoordinator('join', ask, AbortSignal.abort())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(asked()).toBe(1);
});
