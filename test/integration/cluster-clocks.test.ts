import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { ChainTail, onCluster, preloading, until } from '../support/cluster.ts';
import { linesFile } from '../support/cluster-load.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const EACH = 500;

/** Events that the producer gives ids and times, by its own clock. */
function undatedLines(from: number): string[] {
  return Array.from({ length: EACH }, (_, i) =>
    JSON.stringify({ stream: `clocks/${i % 8}`, type: 'CREATE', actor: 'producer', attributes: { number: String(from + i) } }),
  );
}

describeOnStack('clocks that are wrong', () => {
  let stack: StackSettings;
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'a producer whose clock is two hours ahead, then two hours behind, says so; all that it sent is linked once, and verify shows the difference',
    () =>
      onCluster(stack, { shards: 2 }, async (cluster) => {
        const services = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')];
        await Promise.all(services.map((service) => service.ready()));
        const clock = join(cluster.folder, 'clock');
        writeFileSync(clock, String(2 * HOUR_MS));
        const feed = cluster.feed('collector', preloading('moved-clock.js', { MOVED_CLOCK_FILE: clock }));
        const tail = new ChainTail(cluster.log, cluster.shards);
        const turns = [
          [2, "local clock is ahead of the log's", 7200],
          [-2, "local clock is behind the log's", -7200],
          [0, "local clock agrees with the log's again", 0],
        ] as const;
        for (const [turn, [hours, message, seconds]] of turns.entries()) {
          writeFileSync(clock, String(hours * HOUR_MS));
          feed.write(undatedLines(EACH * turn));
          const [said] = await until(message, () => feed.logged(message).length > 0 && feed.logged(message));
          expect(Math.abs(Number(said?.['offsetSeconds']) - seconds)).toBeLessThan(30);
          await until('all of it is linked', async () => (await tail.links()) >= EACH * (turn + 1));
        }
        expect(await feed.end()).toBe(0);
        expect(feed.logged('local clock').map(({ level }) => level)).toEqual(['WARN', 'WARN', 'INFO']);
        await cluster.archived(tail);
        for (const service of services) expect([service.name, service.alarms()]).toEqual([service.name, []]);
        const { findings } = await cluster.mustVerify();
        const differMs = (code: string): number[] =>
          findings.filter((finding) => finding.code === code).map(({ message }) => Number(/(\d+) ms/.exec(message)?.[1]));
        for (const code of ['CLOCK_SKEW', 'CLOCK_OR_DELAY']) {
          expect(differMs(code).length).toBeGreaterThan(0);
          for (const ms of differMs(code)) expect(Math.abs(ms - 2 * HOUR_MS)).toBeLessThan(MINUTE_MS);
        }
        expect(await cluster.counts()).toEqual({ links: turns.length * EACH, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0 });
      }),
    TIMEOUT_MS,
  );

  test(
    'a chainer whose clock goes two hours wrong while it works holds its shards with an alarm, and goes on when the clock is right again',
    () =>
      onCluster(stack, { shards: 2 }, async (cluster) => {
        const clock = join(cluster.folder, 'clock');
        writeFileSync(clock, '0');
        const chainer = cluster.startWith(preloading('moved-clock.js', { MOVED_CLOCK_FILE: clock }), 'chain', 'chainer');
        const archiver = cluster.start('archive', 'archiver');
        await Promise.all([chainer.ready(), archiver.ready()]);
        const tail = new ChainTail(cluster.log, cluster.shards);
        let sent = 0;
        for (const hours of [2, -2]) {
          writeFileSync(clock, String(hours * HOUR_MS));
          // It differs from the index's, and leads the log's: what is looked at first tells.
          const holds = (): number => chainer.logged('shard holds: this clock').length;
          const before = holds();
          await until('the chainer holds', () => holds() === before + cluster.shards);
          await cluster.emit('collector', linesFile(join(cluster.folder, `lines-${hours}`), undatedLines(sent)));
          expect(await tail.links()).toBe(sent);
          sent += EACH;
          writeFileSync(clock, '0');
          await until('it goes on', async () => (await tail.links()) === sent);
        }
        await cluster.archived(tail);
        expect(archiver.alarms()).toEqual([]);
        const { findings } = await cluster.mustVerify();
        expect(findings.filter(({ code }) => code.startsWith('CLOCK'))).toEqual([]);
        expect(await cluster.counts()).toEqual({ links: sent, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0 });
      }),
    TIMEOUT_MS,
  );
});
