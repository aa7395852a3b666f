import { expect, test } from '@jest/globals';
import { unlessAborted } from '../../../../core/base/unless-aborted.ts';

test('a call has its own outcome while the signal has not aborted', async () => {
  const { signal } = new AbortController();
  await expect(unlessAborted(Promise.resolve(7), signal, 'stopped')).resolves.toBe(7);
  await expect(unlessAborted(Promise.reject(new Error('own')), signal, 'stopped')).rejects.toThrow('own');
});

test('nobody waits for a call once the signal has aborted, and its later failure goes nowhere', async () => {
  const stop = new AbortController();
  let fail = (): void => undefined;
  const call = new Promise<never>((_, reject) => {
    fail = () => reject(new Error('late'));
  });
  const waited = unlessAborted(call, stop.signal, 'stopped');
  stop.abort();
  await expect(waited).rejects.toMatchObject({ code: 'CLOSED', message: 'stopped' });
  await expect(unlessAborted(call, stop.signal, 'stopped before')).rejects.toMatchObject({ code: 'CLOSED', message: 'stopped before' });
  fail();
  await new Promise((resolve) => setImmediate(resolve));
});
