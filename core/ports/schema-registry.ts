/**
 * A Confluent-compatible schema registry. Its numeric ids are local to it: they appear in Kafka framing and nowhere else.
 * Every method throws UNAVAILABLE when the registry gives no answer, or one that leaves the outcome unknown, and ANSWER_UNUSABLE when something
 * answers that is not a registry. Both are retryable, and never the producer's fault.
 */
export interface SchemaRegistry {
  /** Registers `schema` (JSON text) under `subject`; the same text always gets the same id, under any subject. Throws SCHEMA_INVALID when refused. */
  register(subject: string, schema: string): Promise<number>;
  /** The schema text with this id, white space aside; undefined when the registry says that there is none. */
  get(id: number): Promise<string | undefined>;
  /** Every schema text registered under `subject`, oldest first; empty when there is no such subject. */
  list(subject: string): Promise<readonly string[]>;
  close(): Promise<void>;
}
