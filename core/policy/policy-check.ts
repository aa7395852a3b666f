import type { Event } from '../formats/event.ts';
import type { EventSchema } from '../formats/event-schema.ts';
import { matchesStream } from './policy.ts';
import type { PolicyInForce } from './policy-history.ts';

/** The first field that the policy requires on this stream and that the event lacks; undefined if it lacks none. Decodes the event only if a field is required. */
export function missingField(policy: PolicyInForce, schema: EventSchema, stream: string, bytes: Uint8Array): string | undefined {
  let event: Event | undefined;
  for (const { streams, fields } of policy.policy.requiredFields) {
    if (!matchesStream(streams, stream)) continue;
    event ??= schema.decode(bytes);
    const missing = fields.find((field) => isAbsent(event, field));
    if (missing !== undefined) return missing;
  }
  return undefined;
}

function isAbsent(event: unknown, path: string): boolean {
  let value = event;
  for (const step of path.split('.'))
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[step] : undefined;
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
}
