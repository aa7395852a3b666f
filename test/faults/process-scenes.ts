import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { preloading, until } from '../support/cluster.ts';
import type { Scene } from './scene.ts';
import type { World } from './world.ts';

/** Longer than a member's session of 10 s: the group has given its shards to others by then. */
const FREEZE_MS = 14_000;
const HOUR_MS = 3_600_000;

/** Faults of our own processes. */
export const PROCESS_SCENES: readonly Scene[] = [
  {
    name: 'chainer-killed',
    says: 'one of two chainers is killed with −9, and started again 15 s later',
    act: async (world) => {
      await world.end('chain-1', 'SIGKILL');
      void world.healed();
      await world.lasting(15_000, 5_000);
      await world.start('chain-1').ready();
    },
  },
  {
    name: 'archiver-killed',
    says: 'one of two archivers is killed with −9, and started again 15 s later',
    act: async (world) => {
      await world.end('archive-1', 'SIGKILL');
      void world.healed();
      await world.lasting(15_000, 5_000);
      await world.start('archive-1').ready();
    },
  },
  {
    name: 'producer-killed',
    says: 'a producer is killed with −9 while it records, and started on its spool again, three times',
    act: async (world) => {
      const [producer] = world.producers;
      for (let i = 0; i < 3; i++) {
        await producer?.kill();
        producer?.restart();
        await world.lasting(5_000, 3_000);
      }
    },
  },
  {
    name: 'zombie-chainer',
    says: 'a chainer is stopped for longer than its session, twice, and goes on where it was',
    act: async (world) => {
      for (let i = 0; i < 2; i++) await frozen(world, 'chain-1');
    },
  },
  {
    name: 'zombie-archiver',
    says: 'an archiver is stopped for longer than its session, and goes on where it was',
    act: (world) => frozen(world, 'archive-1'),
  },
  {
    name: 'rebalance-storm',
    says: 'for two minutes a third chainer and a third archiver come and go every few seconds, half of them killed with −9',
    act: async (world) => {
      const end = performance.now() + world.ms(120_000, 30_000);
      for (let i = 3; performance.now() < end; i++) {
        const names = [`chain-${i}`, `archive-${i}`];
        for (const name of names) world.start(name);
        await world.lasting(2_000 + world.random.below(3_000), 1_500 + world.random.below(2_500));
        for (const name of names) await world.end(name, world.random.chance(0.5) ? 'SIGKILL' : 'SIGTERM');
      }
    },
  },
  {
    name: 'clock-jumps',
    says: "a chainer's clock jumps two hours forward, back, two hours back and right again, 20 s each",
    prepare: async ({ folder }) => {
      const clock = join(folder, 'clock');
      writeFileSync(clock, '0');
      return { chainerEnv: preloading('moved-clock.js', { MOVED_CLOCK_FILE: clock }) };
    },
    act: async (world) => {
      for (const hours of [2, 0, -2, 0]) {
        setClock(world, hours * HOUR_MS);
        await world.lasting(20_000, 8_000);
      }
    },
  },
];

async function frozen(world: World, name: string): Promise<void> {
  const { pid } = world.service(name);
  process.kill(pid, 'SIGSTOP');
  await world.lasting(2 * FREEZE_MS, FREEZE_MS);
  process.kill(pid, 'SIGCONT');
  const command = name.startsWith('chain') ? 'chain' : 'archive';
  await until(`${name} has shards again`, async () =>
    (await world.cluster.owners(command).catch((): readonly undefined[] => [])).some((owner) => owner === name),
  );
}

function setClock(world: World, movedMs: number): void {
  writeFileSync(world.preparation.chainerEnv?.['MOVED_CLOCK_FILE'] as string, String(movedMs));
}
