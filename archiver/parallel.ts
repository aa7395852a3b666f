/** Requests that one shard sends to the store at a time: enough that none waits for another's sync, few enough for any store. */
const REQUESTS = 8;

/** Does `work` on every item, some at a time. Resolves when all is done; after a failure it starts no more work, waits for the work under way, and throws the first error. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const run = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const item = items[next++] as T;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(REQUESTS, items.length) }, run));
  if (failures.length > 0) throw failures[0];
}
