import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/cluster.ts';
import { runProgram } from '../support/command.ts';
import { NotRun } from './preparation.ts';
import type { Scene } from './scene.ts';
import { BROKERS } from './servers.ts';

const ROOT_USER = process.getuid?.() === 0;
const MOUNTS = ['unshare', ROOT_USER ? '-m' : '-Urm'];
/** Of a broker's data when it moves to a small disk. */
const BROKER_ROOM_MIB = 64;

/** Disks that are full. */
export const DISK_SCENES: readonly Scene[] = [
  {
    name: 'disk-state',
    says: "the disk with one chainer's state (LMDB) is full for 30 s, while every event begins a new stream",
    prepare: async () => {
      await mustMount();
      // The state of streams that it knows fits into pages that it has.
      return { chainerLauncher: (data) => onSmallDisk(data), streams: 1_000_000 };
    },
    act: async (world) => {
      const service = world.service('chain-1');
      const filler = fill(service.pid, join(world.cluster.folder, 'chain-1'));
      void world.healed();
      await until('it says why it does not work', async () => (await service.get('/readyz'))?.text.startsWith('DISK_FULL') === true);
      await world.lasting(30_000, 5_000);
      rmSync(filler);
      await until('it works again', async () => (await service.get('/readyz'))?.status === 200);
    },
  },
  {
    name: 'disk-spool',
    says: "the disk with one producer's spool is full for 30 s; what is refused meanwhile counts as not acknowledged",
    prepare: async () => {
      await mustMount();
      return { producerLauncher: (disk) => onSmallDisk(disk) };
    },
    act: async (world) => {
      const [producer] = world.producers;
      if (producer === undefined) throw new Error('there is no producer');
      const filler = fill(producer.pid, join(producer.folder, 'disk'));
      await until('events are refused', () => (producer.said.refused['DISK_FULL'] ?? 0) > 0);
      await world.lasting(30_000, 5_000);
      rmSync(filler);
      world.say(`refused: ${JSON.stringify(producer.said.refused)}`);
    },
  },
  {
    name: 'disk-broker',
    says: "the disk with one broker's data is full, the broker ends, and it starts again with room 20 s later",
    prepare: () => mustMount().then(() => ({})),
    act: async (world) => {
      const broker = world.random.pick(BROKERS);
      const data = join(world.stack.folder, 'data', broker);
      await world.servers.stop(broker);
      const holder = await smallDiskWith(data);
      try {
        await world.servers.up(inside(holder));
        await world.servers.settle();
        const filler = fill(holder.pid as number, data);
        await until('the broker ended', () => world.servers.pids(broker).length === 0);
        void world.healed();
        await world.lasting(20_000, 5_000);
        rmSync(filler);
        await world.servers.up(inside(holder));
        await world.servers.settle();
        await world.servers.stop(broker);
        await backFrom(holder.pid as number, data);
        await world.servers.up();
      } finally {
        holder.kill('SIGKILL');
      }
    },
  },
];

/** A disk of its own for one process. */
function onSmallDisk(folder: string): string[] {
  return [...MOUNTS, 'sh', '-c', 'mount -t tmpfs -o size=24m none "$0" && exec "$@"', folder];
}

async function mustMount(): Promise<void> {
  const [program, ...args] = [...MOUNTS, 'sh', '-c', 'mount -t tmpfs -o size=1m none /mnt'];
  const { code, stderr } = await runProgram(program, args).catch((error: Error) => ({ code: 1, stderr: error.message }));
  if (code !== 0) throw new NotRun(`this machine lets nobody mount a small disk: ${stderr.trim()}`);
}

/** Fills the disk that a process sees at `folder`, and gives the path of what fills it. */
function fill(pid: number, folder: string): string {
  const filler = join('/proc', String(pid), 'root', folder, 'filler');
  for (const bytes of [1 << 20, 1 << 12, 1])
    try {
      for (;;) writeFileSync(filler, new Uint8Array(bytes), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  return filler;
}

/** A process that holds a small disk at `data`, with what is there. */
async function smallDiskWith(data: string): Promise<ChildProcess> {
  const size = `used=$(du -sm "$0" | cut -f1) && mkdir "$0.moving" && cp -a --sparse=always "$0/." "$0.moving"`;
  const mount = `mount -t tmpfs -o size=$((used + ${BROKER_ROOM_MIB}))m none "$0" && cp -a --sparse=always "$0.moving/." "$0"`;
  const [program, ...args] = [...MOUNTS, 'sh', '-c', `${size} && ${mount} && rm -r "$0.moving" && echo held && exec sleep infinity`, data];
  const holder = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [first] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')]);
  if (!String(first).startsWith('held')) throw new Error('the small disk cannot be mounted');
  return holder;
}

/** Runs a command where the disk of a process is. */
function inside({ pid }: ChildProcess): string[] {
  return ['nsenter', '-t', String(pid), '-m', ...(ROOT_USER ? [] : ['-U', '--preserve-credentials'])];
}

/** Moves the data from the small disk to where it was. The folder stays: with it the disk that others see on it would go. */
async function backFrom(pid: number, data: string): Promise<void> {
  const from = join('/proc', String(pid), 'root', data);
  if (!existsSync(from)) throw new Error('the small disk is gone');
  const { code, stderr } = await runProgram('sh', ['-c', 'find "$1" -mindepth 1 -delete && cp -a --sparse=always "$0/." "$1"', from, data]);
  if (code !== 0) throw new Error(`the data cannot be moved back: ${stderr}`);
}
