import { LineproofError } from './errors.ts';

/** The outcome of a call; CLOSED with `message` as soon as `signal` aborts. The call itself goes on, and nobody hears how it ends. */
export async function unlessAborted<T>(call: Promise<T>, signal: AbortSignal, message: string): Promise<T> {
  let stop = (): void => undefined;
  const ended = new Promise<never>((_, reject) => {
    stop = () => reject(new LineproofError('CLOSED', message));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  call.catch(() => undefined);
  try {
    return await Promise.race([ended, call]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
