import { sha256 } from '#crypto';
import { buildBlock } from '../../chainer/block-builder.ts';
import { type Intake, type Known, order, orderTimes } from '../../chainer/order.ts';
import type { AcceptContext, AcceptedBlock } from '../../core/acceptance/accept.ts';
import { type BatchRules, checkMessage } from '../../core/acceptance/batch-check.ts';
import { genesis, LogState, type LogView } from '../../core/acceptance/log-state.ts';
import { frame } from '../../core/avro/framing.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { type BatchHeader, encodeBatchHeader, encodeSignedBatch } from '../../core/formats/batch.ts';
import { type Event, eventDigest } from '../../core/formats/event.ts';
import { EVENT_SCHEMA, type EventSchema } from '../../core/formats/event-schema.ts';
import { encodeEnvelope, preAuthentication, signEnvelope } from '../../core/keys/dsse.ts';
import { keySigner } from '../../core/keys/key.ts';
import { newPolicy } from '../../core/policy/new-policy.ts';
import { encodePolicy } from '../../core/policy/policy.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { openPolicies, type PolicyHistory, type PolicyInForce } from '../../core/policy/policy-history.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { batchRoot } from '../../core/tree/batch-tree.ts';

/** Registry ids that the worlds of these tests use. */
export const BATCH_SCHEMA_ID = 7;
export const BLOCK_SCHEMA_ID = 8;
/** 2026-01-01T00:00:00Z. */
export const START_MICROS = 1_767_225_600_000_000;
const SECOND = 1_000_000;

/** A signer whose seed is made of a word: the same in every run. */
export function testSigner(name: string, word: string = name): Signer {
  return keySigner(name, sha256(utf8(`test seed of ${word}`)));
}

/** 16 bytes that differ for different `words`. */
export function testId(word: string): Uint8Array {
  return sha256(utf8(word)).slice(0, 16);
}

export interface WorldOptions {
  readonly origin?: string;
  readonly shards?: number;
  /** Changes the first policy before it is signed. */
  readonly policy?: (policy: Policy) => Policy;
  readonly schemas?: readonly EventSchema[];
  /** Gives the keys other seeds: somebody else's keys under the same names. */
  readonly seed?: string;
}

/** A message as it would lie on `provenance.events`. */
export interface TestMessage {
  /** The framed Kafka value. */
  readonly value: Uint8Array;
  readonly header: Uint8Array;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
  readonly events: readonly Uint8Array[];
}

/** Offsets of records that no reader can read, and the records section of their batch. */
export interface UnreadableStretch {
  readonly span: number;
  readonly section: Uint8Array;
}

export interface BlockOptions {
  /** Messages with consecutive offsets from the state's `inputTo` on; a number means that many offsets without a message. */
  readonly messages: readonly (TestMessage | Uint8Array | UnreadableStretch | number)[];
  readonly acceptedAt?: number;
  /** Time of the first message; each further one is a millisecond later. */
  readonly appendedAt?: number;
  readonly policy?: PolicyInForce;
  readonly inputGeneration?: number;
  readonly inputFrom?: number;
  readonly final?: boolean;
  readonly signer?: Signer;
  readonly known?: Known;
}

/** Keys, policies and schemas of one origin, and everything that is signed with them. */
export class World {
  readonly origin: string;
  readonly shards: number;
  readonly root: Signer;
  readonly producer: Signer;
  readonly chainer: Signer;
  /** One log key for each shard. */
  readonly logs: readonly Signer[];
  readonly schemas: readonly EventSchema[];
  /** DSSE envelopes of the policy versions, in order. */
  readonly envelopes: Uint8Array[] = [];
  /** The clock of producers, microseconds. */
  now = START_MICROS;
  #history: PolicyHistory | undefined;

  constructor({ origin = 'example.org/log', shards = 1, schemas = [EVENT_SCHEMA], seed = '' }: WorldOptions) {
    this.origin = origin;
    this.shards = shards;
    this.root = testSigner(`${origin}/root`, `${seed}${origin}/root`);
    this.producer = testSigner(`${origin}/producer`, `${seed}${origin}/producer`);
    this.chainer = testSigner(`${origin}/chainer`, `${seed}${origin}/chainer`);
    this.logs = Array.from({ length: shards }, (_, shard) => testSigner(`${origin}/${shard}`, `${seed}log`));
    this.schemas = schemas;
  }

  get policies(): PolicyHistory {
    if (this.#history === undefined) throw new Error('the world has no policy yet');
    return this.#history;
  }

  get policy(): PolicyInForce {
    return this.policies.latest;
  }

  get schema(): EventSchema {
    return this.schemas[0] as EventSchema;
  }

  get context(): AcceptContext {
    return { policies: this.policies, eventSchema: (hex) => this.schemas.find((schema) => schema.hex === hex) };
  }

  /** Signs a version of the policy with the root key and adds it to the history. */
  async addPolicy(policy: Policy): Promise<PolicyInForce> {
    this.envelopes.push(encodeEnvelope(await signEnvelope('policy', encodePolicy(policy), [this.root])));
    this.#history = openPolicies(this.envelopes);
    return this.#history.latest;
  }

  /** The next version of the policy, changed as told. */
  nextPolicy(change: (policy: Policy) => Policy = (policy) => policy): Promise<PolicyInForce> {
    const { policy, hex } = this.policy;
    return this.addPolicy(change({ ...policy, version: policy.version + 1, previous: hex }));
  }

  rules(shard = 0): BatchRules {
    return {
      origin: this.origin,
      shard,
      shards: this.shards,
      policy: this.policy,
      eventSchema: this.context.eventSchema,
    };
  }

  state(shard = 0): LogState {
    return new LogState(genesis(this.origin, shard, this.shards));
  }

  /** A small valid event; `id` is made of the stream and `word`. */
  event(stream: string, word: string, change: Partial<Event> = {}): Event {
    return {
      id: testId(`${stream} ${word}`),
      stream,
      type: 'CREATE',
      importance: 'ESSENTIAL',
      occurredAt: START_MICROS,
      actor: { id: 'service/test', kind: 'SERVICE', onBehalfOf: null },
      activity: null,
      inputs: [],
      outputs: [],
      parents: [],
      trace: null,
      attributes: [{ key: 'word', value: word }],
      facets: [],
      ...change,
    };
  }

  /** Encoded events, one for each word. */
  events(stream: string, ...words: readonly string[]): Uint8Array[] {
    return words.map((word) => this.schema.encode(this.event(stream, word)));
  }

  /** Signs a batch; what `header` leaves out is made to fit the events. */
  async batch(
    events: readonly Uint8Array[],
    header: Partial<BatchHeader> & { readonly epoch: Uint8Array },
    signer = this.producer,
  ): Promise<TestMessage> {
    const schema = header.schema ?? this.schema.digest;
    const bytes = encodeBatchHeader({
      origin: this.origin,
      shard: 0,
      producer: signer.name,
      number: 0,
      firstSeq: 0,
      count: events.length,
      root: batchRoot(events.map((event) => eventDigest(schema, event))),
      // A header names one before it exactly when it is not its lane's first.
      previous: new Uint8Array(32).fill((header.number ?? 0) === 0 ? 0 : 7),
      createdAt: this.now,
      sampledOut: 0,
      lanes: [],
      ...header,
      schema,
    });
    return this.message(bytes, events, signer);
  }

  /** Signs header bytes, whatever they are. */
  async message(header: Uint8Array, events: readonly Uint8Array[], signer = this.producer): Promise<TestMessage> {
    const signature = await signer.sign(preAuthentication('batch', header));
    const { keyId } = signer;
    return { header, keyId, signature, events, value: frame(BATCH_SCHEMA_ID, encodeSignedBatch({ header, keyId, signature, events })) };
  }

  lane(word: string, signer = this.producer, shard = 0): TestLane {
    return new TestLane(this, testId(`epoch ${word}`), signer, shard);
  }

  /** What the chainer's intake makes of messages. */
  intakes(view: LogView, { messages, appendedAt, policy, inputFrom }: BlockOptions): Intake[] {
    let offset = inputFrom ?? view.head.inputTo;
    let time = appendedAt ?? Math.max(view.head.appendedAt, START_MICROS);
    const rules = { ...this.rules(view.head.shard), policy: policy ?? this.policy };
    return messages.map((message): Intake => {
      const at = { offset, timestampMicros: time };
      time += 1000;
      offset += spanOf(message);
      if (typeof message === 'number') return { kind: 'empty', span: message, offset: at.offset };
      if ('section' in message) return unreadable(message, at);
      const value = message instanceof Uint8Array ? message : message.value;
      const check = checkMessage(value, rules, (id) => id === BATCH_SCHEMA_ID);
      if (check.kind === 'hold') throw new Error(`schema ${check.schema} is missing`);
      return { kind: 'message', value, check, ...at };
    });
  }

  /** Orders, seals and signs the next block as the chainer does, and has it accepted. */
  async block(view: LogView, options: BlockOptions): Promise<{ readonly value: Uint8Array; readonly accepted: AcceptedBlock }> {
    const { head } = view;
    const acceptedAt = options.acceptedAt ?? Math.max(head.acceptedAt, START_MICROS) + SECOND;
    const policy = options.policy ?? this.policy;
    const inputGeneration = options.inputGeneration ?? head.inputGeneration;
    const known = options.known ?? (() => undefined);
    const ordered = order(view, this.intakes(view, options), known, {
      acceptedAt,
      inputGeneration,
      ...orderTimes(policy),
    });
    const rules = { policy, inputGeneration, inputFrom: options.inputFrom ?? head.inputTo, acceptedAt, final: options.final ?? false };
    const signer = options.signer ?? this.chainer;
    return buildBlock(view, ordered, rules, { signer, schemaId: BLOCK_SCHEMA_ID, context: this.context });
  }
}

function spanOf(message: BlockOptions['messages'][number]): number {
  if (typeof message === 'number') return message;
  return 'section' in message ? message.span : 1;
}

function unreadable(
  { span, section }: UnreadableStretch,
  at: { readonly offset: number; readonly timestampMicros: number },
): Extract<Intake, { kind: 'unreadable' }> {
  const bytes = section.subarray(0, LIMITS.rejectedBytes);
  return { kind: 'unreadable', span, digest: sha256(section), size: section.length, bytes, ...at };
}

/** One lane as a collector keeps it: headers numbered and chained. */
export class TestLane {
  readonly epoch: Uint8Array;
  readonly #world: World;
  readonly #signer: Signer;
  readonly #shard: number;
  number = 0;
  seq = 0;
  previous: Uint8Array = new Uint8Array(32);

  constructor(world: World, epoch: Uint8Array, signer: Signer, shard: number) {
    this.#world = world;
    this.epoch = epoch;
    this.#signer = signer;
    this.#shard = shard;
  }

  /** The lane's next batch; no events make a heartbeat. */
  async next(events: readonly Uint8Array[], header: Partial<BatchHeader> = {}): Promise<TestMessage> {
    const message = await this.#world.batch(
      events,
      { epoch: this.epoch, shard: this.#shard, number: this.number, firstSeq: this.seq, previous: this.previous, ...header },
      this.#signer,
    );
    this.number += 1;
    this.seq += events.length;
    this.previous = sha256(message.header);
    return message;
  }
}

/** An origin with one producer who may publish everything, one chainer key and one log key per shard. */
export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  const world = new World(options);
  const policy = newPolicy({
    origin: world.origin,
    shards: world.shards,
    roots: [world.root.verifierKey],
    producers: [{ key: world.producer.verifierKey, streams: ['*', 'lineproof/*'] }],
    chainers: [world.chainer.verifierKey],
    logs: world.logs.map(({ verifierKey }) => verifierKey),
    schemas: world.schemas.map(({ hex }) => hex),
  });
  await world.addPolicy(options.policy?.(policy) ?? policy);
  return world;
}
