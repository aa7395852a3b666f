import type { EventInput } from '../sdk/event-input.ts';

/** A note that the archive's key signed, as it was seen: the links of its shard that it covers. */
export interface Attestation {
  readonly shard: number;
  readonly links: number;
  /** performance.now(). */
  readonly atMs: number;
}

/** What a system says about what it kept, from what it kept and nothing else. */
export interface Checked {
  readonly ok: boolean;
  /** Linked events, counted in the archive. */
  readonly links: number;
  /** One line for people. */
  readonly verdict: string;
}

/** Something that takes events and keeps them so that they can be checked: what a measurement runs against. */
export interface BenchSystem {
  readonly name: string;
  readonly settings: Readonly<Record<string, string | number>>;
  /** Takes an event and gives its id at once. */
  record(event: EventInput): string;
  /** As {@link record}, resolved when the event would survive this process. Waits while the system takes no more. */
  recordDurably(event: EventInput): Promise<string>;
  shardOf(stream: string): number;
  /** Processor time so far of the processes that work for it beside this one, servers included, microseconds, by name. */
  othersMicros(): Readonly<Record<string, number>>;
  /** performance.now() when the last of all that was recorded before {@link finish} was accepted into the chain. */
  acceptedAtMs(): number;
  /** Everything attested so far; events of one shard are linked in the order in which they were recorded. */
  attestations(): readonly Attestation[];
  /** Sends what is left and resolves when all of it is archived. */
  finish(): Promise<void>;
  verify(): Promise<Checked>;
  close(): Promise<void>;
}
