import { createHash } from 'node:crypto';
import { LineproofError } from '../core/base/errors.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { buildEvent } from '../sdk/event-builder.ts';
import type { EventInput } from '../sdk/event-input.ts';

/** Size of every event as it is encoded, signed and archived. */
export const EVENT_BYTES = 500;
const DIGESTS = 1024;
const TEXT_BYTES = 64 * 1024;

/** Events as a service hands them over: names, a digest, some attributes, and text that makes them {@link EVENT_BYTES} when encoded. */
export class Workload {
  readonly #streams: readonly string[];
  readonly #digests: readonly string[];
  /** Base64 of noise, which compresses badly, so that the archive does not look cheap. */
  readonly #text: string;
  readonly #note: number;

  constructor(streams: number) {
    this.#streams = Array.from({ length: streams }, (_, i) => `warehouse/orders/part-${String(i).padStart(6, '0')}`);
    this.#digests = Array.from({ length: DIGESTS }, (_, i) => createHash('sha256').update(`digest ${i}`).digest('hex'));
    let text = '';
    for (let i = 0; text.length < TEXT_BYTES; i++) text += createHash('sha512').update(`text ${i}`).digest('base64').slice(0, 84);
    this.#text = text;
    this.#note = EVENT_BYTES - encodedBytes(this.#event(0, EVENT_BYTES)) + EVENT_BYTES;
    if (encodedBytes(this.event(streams)) !== EVENT_BYTES)
      throw new LineproofError('INTERNAL', `cannot make the workload: its events do not have ${EVENT_BYTES} bytes`);
  }

  /** The `i`-th event; they go to the streams in turn. */
  event(i: number): EventInput {
    return this.#event(i, this.#note);
  }

  #event(i: number, noteBytes: number): EventInput {
    const from = (i * 89) % (TEXT_BYTES - EVENT_BYTES);
    return {
      stream: this.#streams[i % this.#streams.length] as string,
      type: 'TRANSFORM',
      actor: 'orders-service',
      activity: { name: 'normalise', version: '4.2.1', environment: 'production' },
      inputs: [{ namespace: 's3://raw', name: 'orders.jsonl', digest: this.#digests[i % DIGESTS] as string }],
      outputs: [{ namespace: 's3://clean', name: 'orders.parquet', digest: this.#digests[(7 * i + 1) % DIGESTS] as string }],
      attributes: { note: this.#text.slice(from, from + noteBytes), region: 'eu-central-1' },
    };
  }
}

function encodedBytes(event: EventInput): number {
  return EVENT_SCHEMA.encode(buildEvent(event)).length;
}
