import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../core/base/errors.ts';
import { temporaryFolder } from '../support/command.ts';
import type { OwnStack } from '../support/stack.ts';
import { disagreement } from './agreement.ts';
import { archivedIds, doubledOf, lostOf } from './ledger.ts';
import { NotRun, type Preparation } from './preparation.ts';
import type { Scene } from './scene.ts';
import { Servers } from './servers.ts';
import { LATE_MS, type RunOptions, World } from './world.ts';

/** After this time since the fault's end nothing has recovered. */
const RECOVERED_MS = 60_000;
const LOOK_MS = 500;

/** What the table says of one scene. */
export interface Row {
  readonly fault: string;
  readonly done: string;
  readonly verdict: 'PASSED' | 'FAILED' | 'NOT RUN';
  /** Why it did not pass. */
  readonly reasons: readonly string[];
  readonly acknowledged?: number;
  readonly linked?: number;
  readonly lost?: number;
  readonly doubled?: number;
  /** Seconds from the moment of the fault, if work should go on during it, else from its end, until every shard had linked an event that was recorded after it. */
  readonly linkedAfter?: number;
  /** Seconds from the end of all that was done, when the producers fell silent, until commits, lag, status and an outside admin client agreed. */
  readonly agreedAfter?: number;
  /** The word of `lineproof verify`. */
  readonly verified?: string;
}

/** Runs one scene on a stack whose servers all run, and brings them up again. */
export async function runScene(stack: OwnStack, scene: Scene, options: RunOptions): Promise<Row> {
  const base = { fault: scene.name, done: scene.says };
  const temporary = temporaryFolder('fault');
  try {
    await new Servers(stack).settle();
    const preparation = (await scene.prepare?.({ stack, folder: temporary.path })) ?? {};
    try {
      const found = await playOn(stack, scene, preparation, options);
      return { ...base, ...found, verdict: found.reasons.length === 0 ? 'PASSED' : 'FAILED' };
    } finally {
      await preparation.release?.();
    }
  } catch (error) {
    return { ...base, verdict: error instanceof NotRun ? 'NOT RUN' : 'FAILED', reasons: [messageOf(error)] };
  } finally {
    temporary.release();
    await new Servers(stack).up();
  }
}

async function playOn(stack: OwnStack, scene: Scene, preparation: Preparation, options: RunOptions): Promise<Found> {
  const world = await World.open(stack, preparation, options);
  let failed = true;
  try {
    const found = await play(world, scene);
    failed = found.reasons.length > 0;
    return found;
  } finally {
    if (failed) options.keepLogs(scene.name, world.logs());
    await world.release();
  }
}

type Found = Omit<Row, 'fault' | 'done' | 'verdict'>;

async function play(world: World, scene: Scene): Promise<Found> {
  await scene.act(world);
  const reasons: string[] = [];
  world.say('the fault is over');
  const linkedAfter = await world.healed();
  if (linkedAfter > RECOVERED_MS) reasons.push(`new events were linked only after ${seconds(linkedAfter)} s`);
  world.say(`new events of every shard were linked after ${seconds(linkedAfter)} s`);
  for (const producer of world.producers) producer.pause();
  const agreedAfter = await agreedAgain(world);
  if (agreedAfter > RECOVERED_MS) reasons.push(`commits, lag, status and an outside client agreed only after ${seconds(agreedAfter)} s`);
  world.say(`commits, lag, status and an outside client agree after ${seconds(agreedAfter)} s`);
  reasons.push(...world.dead());
  const counted = await counts(world);
  return {
    ...counted,
    reasons: [...reasons, ...counted.reasons],
    linkedAfter: seconds(linkedAfter),
    agreedAfter: seconds(agreedAfter),
  };
}

async function agreedAgain(world: World): Promise<number> {
  let told = '';
  for (const begun = performance.now(); ; ) {
    const sending = world.producers.find(({ said }) => !said.flushed);
    const fault = sending === undefined ? await disagreement(world) : `${sending.name} has events that the log did not acknowledge`;
    if (fault === undefined) return performance.now() - begun;
    if (performance.now() - begun > LATE_MS) throw new Error(`no agreement: ${fault}`);
    if (fault !== told) world.say(`no agreement yet: ${fault}`);
    told = fault;
    await delay(LOOK_MS);
  }
}

/** Ends the producers, waits for the archive, and counts what both topic and archive hold. */
async function counts(world: World): Promise<Found> {
  await Promise.all(world.producers.map((producer) => producer.end()));
  // Their last statements are on the input, and everything before them may be archived already.
  await agreedAgain(world);
  await world.cluster.archived(world.ledger.tail);
  const verdict = await world.cluster.mustVerify();
  const acknowledged = world.producers.flatMap((producer) => producer.acknowledged());
  const { ids } = world.ledger;
  const archived = await archivedIds(world.cluster);
  const lost = new Set([...lostOf(acknowledged, ids), ...lostOf(acknowledged, archived)]);
  const doubled = new Set([...doubledOf(ids), ...doubledOf(archived)]);
  const { rejected, conflicts } = await world.cluster.counts();
  const reasons: string[] = [];
  if (lost.size > 0) reasons.push(`${lost.size} acknowledged events are not linked, as ${[...lost][0]}`);
  if (doubled.size > 0) reasons.push(`${doubled.size} events are linked twice, as ${[...doubled][0]}`);
  if (ids.size !== archived.size) reasons.push(`the chain topic has ${ids.size} events, the archive ${archived.size}`);
  if (rejected + conflicts > 0) reasons.push(`${rejected} inputs are REJECTED and ${conflicts} in CONFLICT`);
  if (verdict.result !== 'OK')
    reasons.push(`lineproof verify says ${verdict.result}: ${[...new Set(verdict.findings.map(({ code }) => code))].join(', ')}`);
  return {
    reasons,
    acknowledged: acknowledged.length,
    linked: ids.size,
    lost: lost.size,
    doubled: doubled.size,
    verified: verdict.result,
  };
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
