import { readFileSync } from 'node:fs';
import type { Event } from '../../core/formats/event.ts';
import { compileEventSchema, type EventSchema } from '../../core/formats/event-schema.ts';

/** An event of the later schema. */
export interface EventV2 extends Omit<Event, 'type'> {
  readonly type: Event['type'] | 'ARCHIVE';
  readonly purpose?: string | null;
  readonly labels?: readonly string[];
}

/** A later version of the Event schema that exists for tests only: it adds a kind and two fields. */
export const EVENT_SCHEMA_V2: EventSchema = compileEventSchema(readFileSync(new URL('./event-v2.avsc.json', import.meta.url), 'utf8'));
