import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { EVENT_SCHEMA } from '../formats/event-schema.ts';
import type { SchemaRegistry } from '../ports/schema-registry.ts';
import { EVENT_SUBJECT } from './governance-source.ts';

/** Registers the schemas that messages and events carry; a new system does this first. Registering one again changes nothing. */
export async function registerSchemas(registry: SchemaRegistry): Promise<void> {
  await registry.register('lineproof.v1.SignedBatch', SCHEMA_TEXTS.SignedBatch);
  await registry.register('lineproof.v1.Block', SCHEMA_TEXTS.Block);
  await registry.register(EVENT_SUBJECT, EVENT_SCHEMA.text);
}
