import { checkProof } from '../../auditor/proofs/proof-check.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { hasCode, LineproofError, messageOf } from '../../core/base/errors.ts';
import { takeApart } from '../../core/chain/chain-walk.ts';
import type { VerifierKey } from '../../core/keys/key.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { isRecord, type Log, offsetAfter, TOPICS } from '../../core/ports/log.ts';
import { type AttestedEvent, AwaitedEvent } from './awaited-event.ts';
import type { SoughtEvent } from './block-outcome.ts';
import { NotedArchive, type ObjectReader, type PublishedTree } from './noted-archive.ts';

const READ_BYTES = 4 * 1024 * 1024;
/** How long one look at the chain waits for a block, and the pause after a failure. */
const LOOK_MS = 200;

/** From where a tail reads, and what it holds proofs against. */
export interface TailSources {
  readonly log: Log;
  readonly archive: ObjectReader;
  readonly clock: Clock;
  /** Keys that a proof must be OK by; with none, a proof must only not be FAILED. */
  readonly keys: readonly VerifierKey[];
}

/** An event that is waited for. */
export interface Expected {
  /** Names the event's lane and number, once it was recorded: only then a refusal of its batch is known to be about it. */
  placed(place: NonNullable<SoughtEvent['place']>): void;
  /** Resolves with the proof. Rejects with EVENT_REFUSED; with NOT_ATTESTED, which says how far it came, after `timeoutMs` or when `signal` aborts; with CLOSED. */
  attested(timeoutMs: number, signal: AbortSignal | undefined): Promise<AttestedEvent>;
  /** Ends the search, for an event that was not recorded. */
  forget(): void;
}

interface Waiting {
  readonly event: AwaitedEvent;
  readonly settle: (outcome: Promise<AttestedEvent>) => void;
  readonly settled: Promise<AttestedEvent>;
}

/** Follows the end of one shard's chain, and its published notes, as long as somebody waits for an event. Only `start` and its own loop change `next` and `problem`. */
export class AttestedTail {
  readonly #sources: TailSources;
  readonly #shard: number;
  readonly #archive: NotedArchive;
  readonly #waiting = new Set<Waiting>();
  readonly #stop = new AbortController();
  #next = 0;
  #starting: Promise<void> | undefined;
  #loop: Promise<void> | undefined;
  /** Why the last look failed; undefined after one that did not. */
  #problem: string | undefined;

  constructor(sources: TailSources, shard: number) {
    this.#sources = sources;
    this.#shard = shard;
    this.#archive = new NotedArchive(sources.archive, shard);
  }

  /** Begins to look for an event that is not recorded yet. Throws UNAVAILABLE while the log cannot be reached. */
  async expect(sought: Omit<SoughtEvent, 'place'>, schema: string): Promise<Expected> {
    // All calls that come meanwhile wait for the same answer: so events are recorded in the order of the calls.
    if (this.#loop === undefined) {
      this.#starting ??= this.#start();
      await this.#starting;
    }
    const event = new AwaitedEvent({ ...sought, place: undefined }, schema);
    let settle: Waiting['settle'] | undefined;
    const settled = new Promise<AttestedEvent>((resolve) => {
      settle = resolve;
    });
    settled.catch(() => undefined);
    const waiting: Waiting = { event, settle: (outcome) => settle?.(outcome), settled };
    this.#waiting.add(waiting);
    this.#loop ??= this.#follow();
    return {
      placed: (place) => {
        event.sought.place = place;
      },
      attested: (timeoutMs, signal) => this.#outcome(waiting, timeoutMs, signal),
      forget: () => void this.#waiting.delete(waiting),
    };
  }

  /** Ends the tail: whoever waits gets CLOSED. */
  async close(): Promise<void> {
    this.#stop.abort();
    for (const { settle } of this.#waiting)
      settle(Promise.reject(new LineproofError('CLOSED', 'cannot wait until the event is attested: the collector was closed')));
    this.#waiting.clear();
    await this.#loop;
  }

  async #outcome(waiting: Waiting, timeoutMs: number, signal: AbortSignal | undefined): Promise<AttestedEvent> {
    const over = new AbortController();
    const ends = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
    const late = async (): Promise<never> => {
      await this.#sources.clock.sleep(timeoutMs, ends);
      const problem = this.#problem === undefined ? '' : `; the last look failed: ${this.#problem}`;
      const when = signal?.aborted === true ? 'when the wait was ended' : `after ${timeoutMs} ms`;
      throw new LineproofError('NOT_ATTESTED', `the event is not attested ${when} (it is recorded): ${waiting.event.progress}${problem}`);
    };
    const ended = late();
    ended.catch(() => undefined);
    try {
      return await Promise.race([waiting.settled, ended]);
    } finally {
      over.abort();
      this.#waiting.delete(waiting);
    }
  }

  async #start(): Promise<void> {
    try {
      this.#next = (await this.#sources.log.bounds(TOPICS.chain, this.#shard)).end;
    } finally {
      this.#starting = undefined;
    }
  }

  async #follow(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#stop.signal.aborted) {
      try {
        await this.#readChain();
        await this.#readNote();
        this.#problem = undefined;
      } catch (error) {
        // Also what does not pass by itself, such as an archive under a wrong address: the deadline says it.
        this.#problem = messageOf(error);
        await this.#sources.clock.sleep(LOOK_MS, this.#stop.signal);
      }
    }
    this.#loop = undefined;
  }

  async #readChain(): Promise<void> {
    const { log } = this.#sources;
    const options = { maxBytes: READ_BYTES, waitMs: LOOK_MS, signal: this.#stop.signal };
    for (const entry of await log.read(TOPICS.chain, this.#shard, this.#next, options)) {
      const walked = isRecord(entry) ? takeApart(entry) : undefined;
      if (walked !== undefined) for (const { event } of this.#waiting) event.see(walked);
      this.#next = offsetAfter(entry);
    }
  }

  async #readNote(): Promise<void> {
    const decided = [...this.#waiting].filter(({ event }) => event.needs !== undefined);
    const noted = decided.length === 0 ? undefined : await this.#archive.note();
    if (noted === undefined) return;
    const ready = decided.filter(({ event }) => (event.needs as number) <= noted.checkpoint.size);
    if (ready.length === 0) return;
    const tree = await this.#archive.tree(noted);
    const failures: unknown[] = [];
    // One event that cannot be proven holds up no other.
    for (const waiting of ready) await this.#settle(waiting, tree).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  async #settle(waiting: Waiting, tree: PublishedTree): Promise<void> {
    try {
      const attested = await waiting.event.settle(tree, this.#sources.log, this.#shard);
      if (attested === undefined) return;
      this.#check(attested);
      waiting.settle(Promise.resolve(attested));
    } catch (error) {
      if (!hasCode(error, 'EVENT_REFUSED')) throw error;
      waiting.settle(Promise.reject(error));
    }
    this.#waiting.delete(waiting);
  }

  /** Throws ARCHIVE_DIVERGED for a proof that a stranger with the pinned keys would not take. */
  #check({ proof }: AttestedEvent): void {
    const { keys } = this.#sources;
    const { result, findings, properties } = checkProof(utf8(proof), { keys });
    if (result === 'OK' || (keys.length === 0 && result !== 'FAILED')) return;
    const fact = findings.find(({ severity }) => severity === 'FAILED')?.message ?? properties.LOG.trust;
    throw new LineproofError('ARCHIVE_DIVERGED', `the archive gives no proof of the event that holds: ${result}: ${fact}`);
  }
}
