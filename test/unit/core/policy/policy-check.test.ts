import { expect, test } from '@jest/globals';
import { utf8 } from '../../../../core/base/bytes.ts';
import { canonicalJson } from '../../../../core/base/jcs.ts';
import type { Event } from '../../../../core/formats/event.ts';
import { EVENT_SCHEMA, type EventSchema } from '../../../../core/formats/event-schema.ts';
import { missingField } from '../../../../core/policy/policy-check.ts';
import { type Policy, REQUIRABLE_FIELDS } from '../../../../core/policy/policy-document.ts';
import { PolicyInForce } from '../../../../core/policy/policy-history.ts';
import { testPolicy } from '../../../support/policies.ts';

const fill = (length: number, byte: number) => new Uint8Array(length).fill(byte);
const BARE: Event = {
  id: fill(16, 1),
  stream: 'datasets/a',
  type: 'CREATE',
  importance: 'ESSENTIAL',
  occurredAt: 1,
  actor: { id: 'a', kind: 'JOB', onBehalfOf: null },
  activity: null,
  inputs: [],
  outputs: [],
  parents: [],
  trace: null,
  attributes: [],
  facets: [],
};
const DATA = { namespace: 'n', name: 'm', version: null, digest: null, size: null, mediaType: null };
const FULL: Event = {
  ...BARE,
  actor: { id: 'a', kind: 'JOB', onBehalfOf: 'p' },
  activity: { name: 'n', runId: 'r', version: 'v', environment: 'e' },
  inputs: [DATA],
  outputs: [DATA],
  parents: [{ stream: 's', id: fill(16, 2), digest: null, origin: null }],
  trace: { traceId: fill(16, 3), spanId: fill(8, 4) },
  attributes: [{ key: 'k', value: 'v' }],
  facets: [{ name: 'f', schemaUrl: 'u', json: '{}' }],
};

const requiring = (requiredFields: Policy['requiredFields']) => new PolicyInForce(utf8(canonicalJson({ ...testPolicy(), requiredFields })));
const missing = (requiredFields: Policy['requiredFields'], event: Event) =>
  missingField(requiring(requiredFields), EVENT_SCHEMA, event.stream, EVENT_SCHEMA.encode(event));

test.each(REQUIRABLE_FIELDS)('%s is missed where it is absent, and only there', (field) => {
  const rules = [{ streams: ['datasets/*'], fields: [field] }];
  expect(missing(rules, BARE)).toBe(field);
  expect(missing(rules, FULL)).toBeUndefined();
});

test('an empty text is absent', () => {
  const event: Event = { ...FULL, actor: { id: 'a', kind: 'JOB', onBehalfOf: '' } };
  expect(missing([{ streams: ['*'], fields: ['actor.onBehalfOf'] }], event)).toBe('actor.onBehalfOf');
});

test('the first missing field of the first rule that fits is named', () => {
  const rules: Policy['requiredFields'] = [
    { streams: ['other/*'], fields: ['trace'] },
    { streams: ['datasets/a'], fields: ['inputs', 'outputs'] },
    { streams: ['*'], fields: ['facets'] },
  ];
  expect(missing(rules, { ...BARE, inputs: [DATA] })).toBe('outputs');
  expect(missing(rules, { ...BARE, inputs: [DATA], outputs: [DATA] })).toBe('facets');
});

test('an event on a stream of which nothing is required is not decoded', () => {
  const schema: EventSchema = {
    ...EVENT_SCHEMA,
    decode() {
      throw new Error('decoded');
    },
  };
  const policy = requiring([{ streams: ['other'], fields: ['trace'] }]);
  expect(missingField(policy, schema, 'datasets/a', new Uint8Array(0))).toBeUndefined();
  expect(() => missingField(policy, schema, 'other', new Uint8Array(0))).toThrow('decoded');
});
