import { sha256 } from '#crypto';
import { TOPICS } from '../../core/ports/log.ts';
import { auditProblems, ChainOracle } from './chain-oracle.ts';
import { type CallFault, type CallName, ChainerSim, type SimProcess } from './chainer-sim.ts';
import type { MemoryStateStore } from './memory-state-store.ts';
import type { World } from './producer.ts';
import type { Random } from './random.ts';

const SECOND = 1_000_000;

/** What happens beside the processes. */
export type Happening = (play: Play, random: Random) => Promise<void> | void;

/** Values for the input topic, a list of them all at once; a number means that many offsets that hold nothing, `unreadable` as many that nobody can read. */
export type PlayInput = Uint8Array | readonly Uint8Array[] | number | { readonly unreadable: number };

export interface PlayOptions {
  readonly world: World;
  readonly random: Random;
  readonly input: readonly PlayInput[];
  readonly depth: number;
  /** Identities that wait for the index; none, where it is left out. */
  readonly confirmIdentities?: number;
  /** How many policy versions are published at the start; all, where it is left out. */
  readonly policies?: number;
  /** Processes at the start. */
  readonly processes?: number;
  /** Input that is there at the start, and how likely more of it comes at each turn. */
  readonly atStart: number;
  readonly feedChance: number;
  readonly fault?: (call: CallName, process: SimProcess) => CallFault;
  readonly happenings?: readonly { readonly turn: number; readonly what: Happening }[];
  /** Faults end only after this holds. */
  readonly until?: (() => boolean) | undefined;
  /** Whether the archive is made and audited in the end; the chain is always read and compared. */
  readonly audit: boolean;
  /** Findings that the auditor may raise nevertheless. */
  readonly tolerated?: RegExp;
}

/** One run: input comes bit by bit, things happen, calls fail; then all is well until everything is linked, archived and audited. */
export class Play {
  readonly sim: ChainerSim;
  /** A process's memory, put aside. */
  memory: MemoryStateStore | undefined;
  /** Sets the index back to a copy that was put aside. */
  setIndexBack: (() => void) | undefined;
  readonly #o: PlayOptions;
  readonly #input: PlayInput[];
  #published: number;

  constructor(options: PlayOptions) {
    this.#o = options;
    this.#input = [...options.input];
    this.#published = options.policies ?? options.world.envelopes.length;
    const { world, random, depth, happenings = [] } = options;
    this.sim = new ChainerSim({
      world,
      random,
      depth,
      ...(options.confirmIdentities === undefined ? {} : { confirmIdentities: options.confirmIdentities }),
      fault: options.fault,
      onTurn: async (turn) => {
        for (const happening of happenings) if (happening.turn === turn) await happening.what(this, random);
        if (random.chance(options.feedChance)) await this.#feed();
      },
    });
  }

  /** What is wrong in the end; empty: nothing. */
  async run(): Promise<readonly string[]> {
    const { sim } = this;
    const { happenings = [], processes = 1, atStart, world, audit, tolerated, until } = this.#o;
    await sim.publishPolicies(this.#published);
    for (let i = 0; i < atStart; i++) await this.#feed();
    for (let i = 0; i < processes; i++) sim.start();
    const last = Math.max(0, ...happenings.map(({ turn }) => turn));
    await sim.run(() => this.#input.length === 0 && sim.turns > last && until?.() !== false);
    sim.faulty = false;
    for (const process of sim.living) process.owns = true;
    const { end } = await sim.log.bounds(TOPICS.events, 0);
    await sim.run(() => sim.living.every(({ sequencer }) => sequencer.state.head.inputTo === end));
    await sim.beSilent();
    await sim.stopAll();
    const problems = [...new ChainOracle(sim.log, world).check()];
    if (audit) {
      await sim.archive();
      problems.push(...(await auditProblems(sim.objects, world)).filter((problem) => tolerated?.test(problem) !== true));
    }
    return problems;
  }

  /** Publishes the world's next policy version; processes with several shards may learn of it between any two of their calls. */
  async publishPolicy(random: Random): Promise<void> {
    if (this.#published >= this.#o.world.envelopes.length) return;
    this.#published += 1;
    await this.sim.publishPolicies(this.#published);
    for (const { sources } of this.sim.living) if (random.chance(0.5)) void sources.refreshPolicies().catch(() => undefined);
  }

  async #feed(): Promise<void> {
    const next = this.#input.shift();
    if (next === undefined) return;
    if (typeof next === 'number') return this.sim.log.skip(TOPICS.events, 0, next);
    if ('unreadable' in next) return this.sim.log.spoil(TOPICS.events, 0, next.unreadable, sha256(Uint8Array.of(this.#input.length)));
    const values = next instanceof Uint8Array ? [next] : next;
    await this.sim.log.append(
      TOPICS.events,
      0,
      values.map((value) => ({ key: null, value })),
    );
  }
}

/** Everything that can happen to a shard. */
export const HAPPENINGS: Readonly<Record<string, Happening>> = {
  stall: ({ sim }, random) => {
    random.pick(sim.living).stalledTo = sim.turns + random.below(150);
  },
  secondOwner: ({ sim }) => {
    if (sim.living.length < 3) sim.start();
  },
  death: ({ sim, memory }, random) => {
    const old = random.pick(sim.living);
    sim.kill(old);
    sim.start(random.pick([old.store.copy(), memory?.copy(), undefined]));
  },
  memoryCopied: (play, random) => {
    play.memory = random.pick(play.sim.living).store.copy();
  },
  indexFlushed: ({ sim }) => sim.dedup.flush(),
  indexCopied: (play) => {
    play.setIndexBack = play.sim.dedup.copy();
  },
  indexSetBack: ({ setIndexBack }) => setIndexBack?.(),
  archive: ({ sim }) => sim.archive(),
  ownership: ({ sim }, random) => {
    const process = random.pick(sim.living);
    process.owns = !process.owns;
  },
  time: ({ sim }, random) => {
    sim.now += random.below(15) * SECOND;
  },
  policy: (play, random) => play.publishPolicy(random),
};
