import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TOPICS } from '../../core/ports/log.ts';
import { ChainTail, type ClusterService, type Feed, onCluster, type TestCluster, until } from '../support/cluster.ts';
import { loadLines } from '../support/cluster-load.ts';
import { ROOT, runProgram, temporaryFolder } from '../support/command.ts';
import { type MemoryCage, memoryCage } from '../support/memory-cage.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

/** `npm run test:clients` sets ten minutes. */
const SECONDS = Number(process.env['LINEPROOF_CLIENTS_SECONDS'] ?? 5);
const IS_LONG = SECONDS > 60;
const BOMB_MB = IS_LONG ? 400 : 64;
/** Each record costs the client some microseconds. */
const MANY_BY = IS_LONG ? 'all' : 'gzip';
const CAGE_BYTES = 512 * 1024 * 1024;
const SHARDS = 2;
const LINES_PER_ROUND = 500;
const FOLDER = join(ROOT, 'test/interop/librdkafka');
const place = temporaryFolder('librdkafka');
const python = join(place.path, 'bin', 'python');
const hasVenv = spawnSync('python3', ['-c', 'import venv, ensurepip'], { stdio: 'ignore' }).status === 0;

/** What the foreign client says after each round. */
interface Told {
  readonly rounds: number;
  readonly acknowledged: Readonly<Record<string, number>>;
  readonly refused: Readonly<Record<string, number>>;
}

const describeWithPython: typeof describeOnStack = hasVenv
  ? describeOnStack
  : (name, body) => describe.skip(`${name} [not run: this machine lacks python3 with venv]`, body);

let stack: StackSettings;
const cages: MemoryCage[] = [];
afterAll(() => {
  place.release();
  for (const cage of cages) cage.release();
});

/** Lets the foreign client write, and our own producer a number of lines for each of its rounds; gives what was said last, and the number of lines. */
async function writeBeside(cluster: TestCluster, feed: Feed): Promise<{ readonly told: Told; readonly lines: number }> {
  const brokers = cluster.env['LINEPROOF_KAFKA_BROKERS'] as string;
  const args = [join(FOLDER, 'write.py'), brokers, cluster.topicPrefix, String(SHARDS), String(SECONDS), String(BOMB_MB), MANY_BY];
  const client = spawn(python, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => client.once('close', resolve));
  let [told, lines] = [undefined as Told | undefined, 0];
  const more = (): void => {
    lines += LINES_PER_ROUND;
    feed.write(loadLines(1, lines, 40).slice(-LINES_PER_ROUND));
  };
  more();
  for await (const line of createInterface({ input: client.stdout })) {
    told = JSON.parse(line) as Told;
    more();
  }
  expect([await ended, told?.rounds]).toEqual([0, expect.any(Number)]);
  return { told: told as Told, lines };
}

/** The most memory of its own that a process had, bytes. */
function residentPeak({ pid }: ClusterService): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024;
}

function megabytes(bytes: number | undefined): string {
  return bytes === undefined ? 'not told' : `${Math.round(bytes / 1e6)} MB`;
}

/** Prints a line of figures, whether or not the run is watched. */
function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

interface Caged {
  readonly service: ClusterService;
  readonly cage: MemoryCage | undefined;
}

function startCaged(cluster: TestCluster, command: 'chain' | 'archive'): Caged {
  const cage = memoryCage(command, CAGE_BYTES);
  if (cage !== undefined) cages.push(cage);
  return { cage, service: cage === undefined ? cluster.start(command, command) : cluster.startBy(cage.launcher, command, command) };
}

/** Ends a service as an operator does, and tells its memory. A process that was ended by anything else does not end with 0. */
async function endCaged({ service, cage }: Caged): Promise<void> {
  say(
    `${service.name}: resident at most ${megabytes(residentPeak(service))}, ` +
      (cage === undefined
        ? 'NOT RUN in a control group of 512 MiB: this machine or user cannot make one'
        : `control group of 512 MiB at most ${megabytes(cage.peak())} with its files, ${cage.killed()} processes killed`),
  );
  expect([service.name, cage?.killed() ?? 0, await service.end('SIGTERM')]).toEqual([service.name, 0, 0]);
}

/** Waits until the chainer has consumed all input, as long as it comes on. */
async function allConsumed(tail: ChainTail, cluster: TestCluster): Promise<void> {
  const ends = await Promise.all(tail.seals.map(async (_, shard) => (await cluster.log.bounds(TOPICS.events, shard)).end));
  const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);
  for (let seen = -1; seen < sum(ends); ) {
    const before = seen;
    seen = await until(`more than ${before} of ${sum(ends)} records are consumed`, async () => {
      await tail.links();
      const now = sum(tail.seals.map((seals) => seals.at(-1)?.inputTo ?? 0));
      return now > before && now;
    });
  }
}

describeWithPython('librdkafka, which writes to every topic', () => {
  beforeAll(async () => {
    stack = await testStack();
    expect(await runProgram('python3', ['-m', 'venv', place.path])).toMatchObject({ code: 0 });
    const install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-r', join(FOLDER, 'requirements.txt')];
    expect(await runProgram(python, install)).toMatchObject({ code: 0 });
  }, STACK_TIMEOUT_MS);

  test(
    'every good event is linked once, everything of the other client is REJECTED, and no service needs a restart or more than 512 MiB',
    async () => {
      await onCluster(stack, { shards: SHARDS, segmentMaxAgeMs: 10_000 }, async (cluster) => {
        const services = [startCaged(cluster, 'chain'), startCaged(cluster, 'archive')];
        await Promise.all(services.map(({ service }) => service.ready()));
        const feed = cluster.feed('collector');
        const { told, lines } = await writeBeside(cluster, feed);
        say(
          `librdkafka: ${told.rounds} rounds, acknowledged ${JSON.stringify(told.acknowledged)}, refused ${JSON.stringify(told.refused)}`,
        );
        expect(await feed.end()).toBe(0);
        const tail = new ChainTail(cluster.log, SHARDS);
        await allConsumed(tail, cluster);
        await cluster.archived(tail);
        const counts = await cluster.counts();
        say(`linked ${counts.links} of ${lines} good events; ${JSON.stringify(counts)}`);
        expect(counts).toEqual({ links: lines, duplicates: 0, conflicts: 0, repeated: 0, rejected: told.acknowledged['events'] });
        expect((await cluster.mustVerify()).properties.COMPLETE.result).not.toBe('FAILED');
        for (const each of services) await endCaged(each);
      });
    },
    SECONDS * 1_000 + STACK_TIMEOUT_MS,
  );
});
