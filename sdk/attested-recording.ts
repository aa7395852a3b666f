import type { Collector as Recorder } from '../collector/collector.ts';
import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type Event, eventDigest } from '../core/formats/event.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { formatUuid } from '../core/formats/identity.ts';
import { shardOf } from '../core/formats/shard.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { Signer } from '../core/ports/signer.ts';
import { AttestedTail, type TailSources } from '../prover/attested/attested-tail.ts';

export type { ObjectReader } from '../prover/attested/noted-archive.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
/** Timers of Node hold 32 bits. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** How long a call waits until its event is attested. */
export interface AttestedOptions {
  /** Default 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** An event that a published note of the log covers. */
export interface AttestedRecord {
  readonly id: string;
  /** The content of a `.tlog-proof` file, which `lineproof check` takes. */
  readonly proof: Uint8Array;
  readonly shard: number;
  readonly leaf: number;
  /** Leaves that the note in the proof covers. */
  readonly size: number;
}

interface Sources extends TailSources {
  readonly shards: number;
  readonly signer: Pick<Signer, 'verifierKey'>;
}

/** Records events and waits until a published note covers them. One tail for each shard that somebody waits for. */
export class AttestedRecording {
  readonly #sources: Sources;
  readonly #tails = new Map<number, AttestedTail>();

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Records `event`, and resolves with its proof. Throws what recording throws, and as {@link AttestedTail} says. */
  async record(
    collector: Recorder,
    event: Event,
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: AttestedOptions = {},
  ): Promise<AttestedRecord> {
    if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS)
      throw new LineproofError('CONFIG_INVALID', 'cannot record attested: timeoutMs must be a whole number of milliseconds above 0');
    const { shards, signer } = this.#sources;
    const digest = eventDigest(EVENT_SCHEMA.digest, EVENT_SCHEMA.encode(event));
    const tail = this.#tail(shardOf(event.stream, shards));
    const expected = await tail.expect({ digest, producer: parseVerifierKey(signer.verifierKey) }, EVENT_SCHEMA.text);
    let isPlaced = false;
    try {
      await collector.recordDurably(event, ({ epoch, seq }) => {
        isPlaced = true;
        expected.placed({ epoch, seq });
      });
      if (!isPlaced)
        throw new LineproofError('SPOOL_FULL', 'cannot record event: it is AUXILIARY and was dropped, because the spool is full');
    } catch (error) {
      expected.forget();
      throw error;
    }
    const id = formatUuid(event.id);
    try {
      const { proof, ...place } = await expected.attested(timeoutMs, signal);
      return { id, proof: utf8(proof), ...place };
    } catch (error) {
      if (!(error instanceof LineproofError) || error.code !== 'NOT_ATTESTED') throw error;
      throw new LineproofError(error.code, error.message, { ...error.details, id }, error.cause);
    }
  }

  /** Whoever waits gets CLOSED. */
  async close(): Promise<void> {
    await Promise.all([...this.#tails.values()].map((tail) => tail.close()));
  }

  #tail(shard: number): AttestedTail {
    const tail = this.#tails.get(shard) ?? new AttestedTail(this.#sources, shard);
    this.#tails.set(shard, tail);
    return tail;
  }
}
