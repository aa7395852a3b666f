/**
 * A Confluent-compatible schema registry. Its numeric ids are local to it: they appear in Kafka framing and nowhere else.
 * Every method throws UNAVAILABLE (retryable) when the registry gives no usable answer; that is never the producer's fault.
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
