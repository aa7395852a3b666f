import type { FindingCode, Severity } from './findings-table.ts';
import type { Property } from './property.ts';
import type { VerdictWord } from './verdict-words.ts';

/** FAILED: something is shown to be wrong. NOT CHECKED: nothing is claimed. OPEN: nothing is wrong so far, and more may come. */
export type Result = 'OK' | 'FAILED' | 'OPEN' | 'NOT CHECKED';

/** Where a finding lies, as exactly as the auditor knows. */
export interface Place {
  readonly object?: string;
  readonly shard?: number;
  /** Tree index. */
  readonly leaf?: number;
  readonly stream?: string;
  /** Input offset. */
  readonly offset?: number;
  readonly lane?: string;
}

/** One thing that was found. */
export interface Finding {
  readonly property: Property;
  readonly severity: Severity;
  /** A code of `FINDINGS`, for programs; docs/findings.md explains each. */
  readonly code: FindingCode;
  readonly message: string;
  readonly place: Place;
}

export interface PropertyVerdict {
  readonly result: Result;
  /** The pinned key that the result rests on, or why there is none. */
  readonly trust: string;
  /** Counts of the checked items. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The moment of a shard that the verdict is about. */
export interface ShardMoment {
  readonly shard: number;
  /** Leaves that the newest signed note covers. */
  readonly size: number;
  /** Hex root of these leaves; null where they could not all be read, or nothing was logged. */
  readonly root: string | null;
  /** When the newest of their blocks was made, by the chainer's clock: ISO 8601. */
  readonly acceptedAt: string | null;
  /** Leaves in closed segments. Those behind it are the open tail: they have no evidence, and nothing is claimed about them. */
  readonly archived: number;
  /** The newest note with a quorum of witnesses: of the reader's witness policy where one was given, else of the policy; null where none has one. */
  readonly witnessed: { readonly size: number; readonly from: string; readonly to: string } | null;
}

/** Numbers of refused messages, of refused events of messages that were accepted, and of records of the input that the chainer calls unreadable. */
export interface RefusedCounts {
  readonly messages: number;
  readonly events: number;
  /** As many as the input log counts them: nobody knows whether they were messages. */
  readonly records: number;
}

/** Messages, events and records that were refused, as far as the evidence shows. */
export interface Refused extends RefusedCounts {
  /** In the order of the reasons' numbers, and then `CONFLICT`. A number that this version does not know is its own name. */
  readonly byReason: readonly ({ readonly reason: string } & RefusedCounts)[];
  /**
   * Those that most was refused of come first. `proven`: a key of the policy signed the header that names the producer; else anybody may have written
   * the name. At most 100 names that are not proven are kept.
   */
  readonly byProducer: readonly ({ readonly producer: string; readonly proven: boolean } & RefusedCounts)[];
  /** Refused under further names that are not proven. */
  readonly otherNames: RefusedCounts;
  /** Messages of which no header can be read, and unreadable records: nobody is named. */
  readonly nameless: RefusedCounts;
}

/** The auditor's answer. A key that came with the archive never makes it OK. */
export interface Verdict {
  /** One word for the whole; docs/verdict.md says when each applies, and its exit code. */
  readonly result: VerdictWord;
  /**
   * True where `result` is OK or OPEN: no property is FAILED, each that was demanded was checked, LOG rests on pinned keys, and the leaves of at least one shard
   * were read. Properties may be OPEN, or NOT CHECKED where no pinned key proves them or this version does not check them.
   */
  readonly ok: boolean;
  /** Name of the system of logs, as the archive states it; empty without a usable policy. */
  readonly origin: string;
  /** Hex digest of the first version of the policy; null without one. Kept by a reader, it tells this archive from another under the same root key. */
  readonly genesis: string | null;
  readonly shards: readonly ShardMoment[];
  readonly properties: Readonly<Record<Property, PropertyVerdict>>;
  /** The properties that make the word NOT CHECKED: those that were asked for and are not checked, and those of which a part could not be. */
  readonly lacking: readonly Property[];
  readonly refused: Refused;
  readonly findings: readonly Finding[];
  /** How many findings of each code were counted and not kept. */
  readonly unlisted: Readonly<Record<string, number>>;
}
