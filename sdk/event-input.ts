import type { Actor, EventType, Importance } from '../core/formats/event.ts';

/** Data outside the log. Names must be pseudonyms where they could tell about a person. */
export interface DataInput {
  /** Default empty. */
  readonly namespace?: string;
  readonly name: string;
  readonly version?: string;
  /** Lower-case hex of a SHA-256, or any digest with its algorithm's name. The length must be that of the algorithm. */
  readonly digest?: string | { readonly algorithm: string; readonly value: string | Uint8Array };
  /** Bytes; a whole number from 0. */
  readonly size?: number;
  readonly mediaType?: string;
}

/** An event that caused this one. */
export interface ParentInput {
  readonly stream: string;
  readonly id: string;
  /** The event's digest; 32 bytes, or their lower-case hex. */
  readonly digest?: string | Uint8Array;
  readonly origin?: string;
}

/**
 * When it happened: a Date, or an ISO 8601 text with seconds and zone, such as `2026-01-31T10:00:00.123456Z`. A text can hold microseconds, which a
 * Date cannot.
 */
export type TimeInput = Date | string;

/** The fields that every event can have. Nothing is converted: a value that does not fit its field is refused, and so is a field that is not here. */
interface EventFields {
  readonly stream: string;
  /** Default ESSENTIAL. */
  readonly importance?: Importance;
  /** A service's name, or more about who did it. */
  readonly actor: string | { readonly id: string; readonly kind?: Actor['kind']; readonly onBehalfOf?: string };
  readonly activity?: string | { readonly name: string; readonly runId?: string; readonly version?: string; readonly environment?: string };
  readonly inputs?: readonly (string | DataInput)[];
  readonly outputs?: readonly (string | DataInput)[];
  readonly parents?: readonly ParentInput[];
  /** Lower-case hex. Default: the active span of OpenTelemetry, if the service uses it; but none for an event with `id` or `idempotencyKey`, because a repeated call has another span. */
  readonly trace?: { readonly traceId: string; readonly spanId: string } | null;
  /** Values are texts: write a number as you want to read it later. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** `json` is anything that JSON can hold unchanged. */
  readonly facets?: readonly { readonly name: string; readonly schemaUrl: string; readonly json: unknown }[];
}

/** Which event it is. A repeated call is the same event only if it has the same time, so an event with an id or a key must say its time. */
type EventIdentity =
  | { readonly id?: never; readonly idempotencyKey?: never /** Default now. */; readonly occurredAt?: TimeInput }
  | {
      readonly id?: never;
      /** The same key in the same stream always gives the same id, so that a repeated call adds nothing twice. */
      readonly idempotencyKey: string;
      readonly occurredAt: TimeInput;
    }
  | { /** A UUID in lower case. */ readonly id: string; readonly idempotencyKey?: never; readonly occurredAt: TimeInput };

/** An event as a service writes it down, without its type. */
export type TypedInput = EventFields & EventIdentity;

/** An event as a service writes it down. */
export type EventInput = TypedInput & { readonly type: EventType };
