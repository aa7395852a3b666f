import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { AssignerProtocol, type Kafka } from 'kafkajs';
import { type KafkaSettings, kafkaClient } from '../../adapters/kafka-client.ts';
import { kafkaGroupStatus } from '../../adapters/kafka-group-status.ts';
import { preloading, until } from '../support/cluster.ts';
import { temporaryFolder } from '../support/command.ts';
import { TestLogger } from '../support/memory.ts';
import { describeOnStack, type OwnStack, ownStack, STACK_TIMEOUT_MS } from '../support/stack.ts';
import { openToxiproxy } from '../support/toxiproxy.ts';

const TIMEOUT_MS = 180_000;
const HOUR_MS = 3_600_000;
const SHARDS = 6;
const ALL = [0, 1, 2, 3, 4, 5];
const ALL_TEXT = ALL.join(' ');
/** Longer than a session: the group has given the shards to others by then. */
const FREEZE_MS = 13_000;
const CHILD = ['--conditions=lineproof-source', '--import', './test/support/typescript.js', 'test/integration/group-child.ts'];

/** What a member says of itself. */
interface Said {
  readonly member: boolean;
  readonly heardAgeMs?: number;
  readonly commitWaitsMs?: number;
  readonly problem?: string;
  readonly owned: readonly number[];
  readonly committed: Readonly<Record<string, number>>;
}

let stack: OwnStack;
let kafka: Kafka;
let topic: string;
let groupId: string;
const members: Member[] = [];
const folder = temporaryFolder('group');

/** A process that is a member of the test's group. */
class Member {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  #said: Said = { member: false, owned: [], committed: {} };
  lines = 0;

  constructor(name: string, env: NodeJS.ProcessEnv = {}, brokers = stack.settings.kafka.brokers) {
    this.name = name;
    const settings: KafkaSettings = { brokers, clientId: `test-${name}`, topicPrefix: '', tls: false, requestTimeoutMs: 10_000 };
    const member = JSON.stringify({ kafka: settings, groupId, topic, shards: SHARDS, name });
    this.child = spawn(process.execPath, [...CHILD, member], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    this.child.stdout?.on('data', (chunk) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() as string;
      this.lines += parts.length;
      if (parts.length > 0) this.#said = JSON.parse(parts.at(-1) as string) as Said;
    });
    this.ended = new Promise((resolve) => this.child.on('close', resolve));
    members.push(this);
  }

  get said(): Said {
    return this.#said;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async freeze(ms: number): Promise<void> {
    this.signal('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.signal('SIGCONT');
  }
}

/** Shards that these members own by their own account, sorted. */
function shared(...those: Member[]): readonly number[] {
  return those.flatMap(({ said }) => said.owned).toSorted((a, b) => a - b);
}

function haveAll(...those: Member[]): Promise<unknown> {
  return until(`${those.map(({ name }) => name).join(' and ')} own all shards, each once`, () => shared(...those).join(' ') === ALL_TEXT);
}

/** Waits until two members have half of the shards each. */
function haveHalves(a: Member, b: Member): Promise<unknown> {
  return until('each has its half', () => a.said.owned.length === 3 && b.said.owned.length === 3 && shared(a, b).join(' ') === ALL_TEXT);
}

/** Milliseconds until the members own all shards again, which is printed. */
async function timed(what: string, begun: number, ...those: Member[]): Promise<number> {
  await haveAll(...those);
  const ms = performance.now() - begun;
  process.stdout.write(`${what}: all ${SHARDS} shards owned again after ${(ms / 1000).toFixed(1)} s\n`);
  return ms;
}

/** Committed offsets as an admin client of kafkajs reads them; it gives up when it asks a broker that is away, and is asked again. */
function committed(): Promise<ReadonlyMap<number, number>> {
  return until('an admin client reads the commits', async () => {
    const admin = kafka.admin();
    try {
      await admin.connect();
      const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] });
      return new Map(offsets?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
    } catch {
      return undefined;
    } finally {
      await admin.disconnect();
    }
  });
}

/** What a member believes taken is taken, and its commits move on. An offset read after it was believed can only be higher. */
async function commitsAreTrue(...those: Member[]): Promise<void> {
  const before = await committed();
  await until('every commit moved on', () =>
    those.every(({ said }) => said.owned.every((shard) => (said.committed[shard] ?? -1) > (before.get(shard) ?? -1))),
  );
  const believed = new Map(those.flatMap(({ said }) => Object.entries(said.committed).map(([shard, offset]) => [Number(shard), offset])));
  const [theirs, ours] = [await committed(), await kafkaGroupStatus(kafka, groupId, topic)];
  expect([...believed.keys()].toSorted((a, b) => a - b)).toEqual(ALL);
  for (const [shard, offset] of believed) {
    const [taken, status] = [theirs.get(shard) as number, ours.get(shard)?.committed as number];
    for (const read of [taken, status]) {
      expect(read).toBeGreaterThanOrEqual(offset);
      // Ten a second are consumed, and a commit a second is sent.
      expect(read - offset).toBeLessThan(100);
    }
  }
}

/** Node id of the broker that coordinates the group. */
async function coordinatorId(): Promise<number> {
  const described = kafka.admin();
  await described.connect();
  try {
    const cluster = await described.describeCluster();
    // Kafka's own rule: the leader of the partition of __consumer_offsets that the id's hash names.
    const { topics } = await described.fetchTopicMetadata({ topics: ['__consumer_offsets'] });
    const partitions = topics[0]?.partitions ?? [];
    let hash = 0;
    for (const unit of groupId) hash = (Math.imul(hash, 31) + unit.charCodeAt(0)) | 0;
    const leader = partitions.find(({ partitionId }) => partitionId === (hash & 0x7fffffff) % partitions.length)?.leader as number;
    expect(cluster.brokers.map(({ nodeId }) => nodeId)).toContain(leader);
    return leader;
  } finally {
    await described.disconnect();
  }
}

async function pidOf(server: string): Promise<number> {
  const { stdout } = await stack.command('status', '--json');
  const { servers } = JSON.parse(stdout) as { servers: readonly { readonly name: string; readonly pids: readonly number[] }[] };
  return servers.find(({ name }) => name === server)?.pids[0] as number;
}

describeOnStack('members of a group on three brokers', () => {
  beforeAll(async () => {
    stack = await ownStack('--brokers', '3');
    const { brokers } = stack.settings.kafka;
    kafka = kafkaClient({ brokers, clientId: 'test', topicPrefix: '', tls: false, requestTimeoutMs: 10_000 }, new TestLogger());
    topic = `shards-${randomBytes(4).toString('hex')}`;
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: SHARDS, replicationFactor: 3 }], waitForLeaders: true });
    await admin.disconnect();
  }, STACK_TIMEOUT_MS);
  afterEach(async () => {
    for (const { child } of members) child.kill('SIGKILL');
    await Promise.all(members.splice(0).map(({ ended }) => ended));
  });
  afterAll(async () => {
    folder.release();
    await stack?.release();
  });

  function start(name: string, ...rest: [NodeJS.ProcessEnv?, (readonly string[])?]): Member {
    if (members.length === 0) groupId = `group-${randomBytes(4).toString('hex')}`;
    return new Member(name, ...rest);
  }

  test(
    'share the shards; one leaves, one is killed, and the other has all of them soon; what a member believes committed is committed',
    async () => {
      const [a, begun] = [start('a'), performance.now()];
      await timed('first member', begun, a);
      const [b, joined] = [start('b'), performance.now()];
      await haveHalves(a, b);
      await timed('second member joined', joined, a, b);
      await commitsAreTrue(a, b);
      const left = performance.now();
      b.signal('SIGTERM');
      expect(await timed('one of two left', left, a)).toBeLessThan(6_000);
      expect(await b.ended).toBe(0);
      const c = start('c');
      await haveHalves(a, c);
      const killed = performance.now();
      a.signal('SIGKILL');
      await a.ended;
      expect(await timed('one of two killed', killed, c)).toBeLessThan(20_000);
      await commitsAreTrue(c);
    },
    TIMEOUT_MS,
  );

  test(
    'whose coordinator is killed and comes back go on, and commit to the new one',
    async () => {
      const [a, b] = [start('a'), start('b')];
      await haveHalves(a, b);
      const broker = `kafka-${await coordinatorId()}`;
      const killed = performance.now();
      process.kill(await pidOf(broker), 'SIGKILL');
      // The newest answered heartbeat was sent after the broker was gone: to the next coordinator.
      await until('both hear the next one', () => {
        const sinceMs = performance.now() - killed - 500;
        return [a, b].every(({ said }) => (said.heardAgeMs ?? Number.POSITIVE_INFINITY) < sinceMs);
      });
      await timed('coordinator killed', killed, a, b);
      await commitsAreTrue(a, b);
      expect(await stack.command('up', '--brokers', '3', '--secure', '--with', 'toxiproxy')).toMatchObject({ code: 0 });
      await haveHalves(a, b);
      await commitsAreTrue(a, b);
      expect([a.child.exitCode, b.child.exitCode]).toEqual([null, null]);
    },
    TIMEOUT_MS,
  );

  test(
    'frozen twice for longer than the session, a member comes back each time',
    async () => {
      const [a, b] = [start('a'), start('b')];
      await haveHalves(a, b);
      for (const time of ['first', 'second']) {
        const frozen = performance.now();
        const thaw = a.freeze(FREEZE_MS);
        await until('the other one has all', () => shared(b).join(' ') === ALL_TEXT);
        process.stdout.write(`one of two frozen: the other owned all shards after ${((performance.now() - frozen) / 1000).toFixed(1)} s\n`);
        await thaw;
        const thawed = performance.now();
        await haveHalves(a, b);
        expect(await timed(`${time} freeze of ${FREEZE_MS / 1000} s over`, thawed, a, b)).toBeLessThan(15_000);
      }
      await commitsAreTrue(a, b);
    },
    TIMEOUT_MS,
  );

  test(
    'alone and frozen twice, a member owns all shards again',
    async () => {
      const a = start('a');
      await haveAll(a);
      for (const time of ['first', 'second']) {
        await a.freeze(FREEZE_MS);
        const [thawed, lines] = [performance.now(), a.lines];
        await until('it speaks again', () => a.lines > lines + 1);
        expect(await timed(`alone, ${time} freeze over`, thawed, a)).toBeLessThan(25_000);
      }
      await commitsAreTrue(a);
    },
    TIMEOUT_MS,
  );

  test(
    'whose clock is set back by two hours, and forward by four, keep their shards',
    async () => {
      const clock = join(folder.path, 'clock');
      writeFileSync(clock, '0');
      const a = start('a', preloading('moved-clock.js', { MOVED_CLOCK_FILE: clock }));
      await haveAll(a);
      for (const hours of [-2, 2]) {
        writeFileSync(clock, String(hours * HOUR_MS));
        const until12s = performance.now() + 12_000;
        await until('longer than the session has passed', () => {
          expect(a.said.heardAgeMs).toBeLessThan(6_000);
          expect(shared(a)).toEqual(ALL);
          return performance.now() > until12s;
        });
        await commitsAreTrue(a);
      }
    },
    TIMEOUT_MS,
  );

  test(
    'whose brokers fall silent, and whose clock is then set back, say so, and own all shards again when the brokers answer',
    async () => {
      const clock = join(folder.path, 'silent-clock');
      writeFileSync(clock, '0');
      const { brokers } = stack.settings.toxiproxy.kafka;
      const a = start('a', preloading('moved-clock.js', { MOVED_CLOCK_FILE: clock }), brokers);
      await haveAll(a);
      const whileSilent = async (): Promise<void> => {
        await until('a heartbeat and a commit hang', () => (a.said.heardAgeMs ?? 0) > 2_000 && (a.said.commitWaitsMs ?? 0) > 2_000);
        writeFileSync(clock, String(-2 * HOUR_MS));
        await until(
          'it owns nothing and says why',
          () => a.said.owned.length === 0 && a.said.problem?.includes('no answer within') === true,
        );
      };
      const links = ['kafka-1', 'kafka-2', 'kafka-3'].map((name) => openToxiproxy(stack.settings.toxiproxy.url, name));
      const silence = { type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } } as const;
      const silent = links.reduce<() => Promise<void>>((act, link) => () => link.during(silence, act), whileSilent);
      await silent();
      const answered = performance.now();
      expect(await timed('silence of all brokers over, clock two hours back', answered, a)).toBeLessThan(60_000);
      await commitsAreTrue(a);
    },
    TIMEOUT_MS,
  );

  test(
    'share with a member that uses the consumer of kafkajs, as versions before did, whichever of the two leads',
    async () => {
      const a = start('a');
      await haveAll(a);
      const old = kafka.consumer({
        groupId,
        sessionTimeout: 10_000,
        heartbeatInterval: 1_000,
        rebalanceTimeout: 10_000,
        maxWaitTimeInMs: 250,
        partitionAssigners: [
          () => ({
            name: 'lineproof-rendezvous',
            version: 1,
            protocol: ({ topics }) => ({
              name: 'lineproof-rendezvous',
              metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.from('old') }),
            }),
            // The first half to us when the old one leads.
            assign: async ({ members: all }) =>
              all.map(({ memberId, memberMetadata }) => {
                const mine = AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData.toString() === 'old';
                const assignment = { [topic]: mine ? [3, 4, 5] : [0, 1, 2] };
                return {
                  memberId,
                  memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }),
                };
              }),
          }),
        ],
      });
      let theirs: readonly number[] = [];
      old.on(old.events.GROUP_JOIN, ({ payload }) => {
        theirs = payload.memberAssignment[topic] ?? [];
      });
      try {
        await old.connect();
        await old.subscribe({ topics: [topic], fromBeginning: true });
        await old.run({ autoCommit: false, eachMessage: async () => undefined });
        await until(
          'both have a share',
          () => [...a.said.owned, ...theirs].toSorted((x, y) => x - y).join(' ') === ALL_TEXT && theirs.length === 3,
        );
        a.signal('SIGTERM');
        expect(await a.ended).toBe(0);
        await until('the old one leads and has its half', () => theirs.join(' ') === '3 4 5');
        const b = start('b');
        await until('the new one has the other half', () => b.said.owned.join(' ') === '0 1 2');
      } finally {
        await old.disconnect();
      }
    },
    TIMEOUT_MS,
  );
});
