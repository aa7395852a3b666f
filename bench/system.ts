import type { EventInput } from '../sdk/event-input.ts';

/** A signed note as it was observed, with the number of links of its shard that it covers. */
export interface Attestation {
  readonly shard: number;
  readonly links: number;
  /** performance.now(). */
  readonly atMs: number;
}

/** The result of verifying the events that a system has stored, from the stored data alone. */
export interface Checked {
  readonly ok: boolean;
  /** Linked events, counted in the archive. */
  readonly links: number;
  /** One line for people. */
  readonly verdict: string;
}

/** A system under measurement: it takes events and keeps them so that they can be verified. */
export interface BenchSystem {
  readonly name: string;
  readonly settings: Readonly<Record<string, string | number>>;
  /** Takes an event and returns its id at once. */
  record(event: EventInput): string;
  /** As {@link record}, resolved when the event would survive this process. Waits while the system takes no more. */
  recordDurably(event: EventInput): Promise<string>;
  shardOf(stream: string): number;
  /** Processor time so far, in microseconds, of the other processes that work for it, servers included; by name. */
  othersMicros(): Readonly<Record<string, number>>;
  /** performance.now() when the last event that was recorded before {@link finish} was accepted into the chain. */
  acceptedAtMs(): number;
  /** Everything attested so far; events of one shard are linked in the order in which they were recorded. */
  attestations(): readonly Attestation[];
  /** Sends the remaining events and resolves when all are archived. */
  finish(): Promise<void>;
  verify(): Promise<Checked>;
  close(): Promise<void>;
}
