import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { decodeStateRecord, encodeSnapshotStatement, encodeStateRecord, parseSnapshotStatement } from '../../core/archive/snapshot.ts';
import { frame, unframe } from '../../core/avro/framing.ts';
import { readContainer, writeContainer } from '../../core/avro/ocf.ts';
import { compileSchema } from '../../core/avro/schema.ts';
import { concat, equal, toHex, utf8 } from '../../core/base/bytes.ts';
import { canonicalJson, parseCanonicalJson } from '../../core/base/jcs.ts';
import { decodeArchivedEvent, encodeArchivedEvent } from '../../core/formats/archived-event.ts';
import { decodeBatchHeader, decodeSignedBatch, encodeBatchHeader, encodeSignedBatch } from '../../core/formats/batch.ts';
import { decodeBlock, encodeBlock } from '../../core/formats/block.ts';
import { decodeBlockEvidence, encodeBlockEvidence } from '../../core/formats/block-evidence.ts';
import { decodeBlockRefused, encodeBlockRefused } from '../../core/formats/block-refused.ts';
import type { Event } from '../../core/formats/event.ts';
import { decodeEventProof, encodeEventProof } from '../../core/formats/event-proof.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { decodeEvidence, encodeEvidence } from '../../core/formats/evidence.ts';
import { decodeLeaf, encodeLink, encodeSeal, type Link, type Seal } from '../../core/formats/leaf.ts';
import { decodeRejected, encodeRejected } from '../../core/formats/rejected.ts';
import { formatTlogProof, parseTlogProof } from '../../core/formats/tlog-proof.ts';
import { formatCheckpoint, parseCheckpoint } from '../../core/keys/checkpoint.ts';
import { decodeEnvelope, encodeEnvelope } from '../../core/keys/dsse.ts';
import { formatPrivateKey, formatVerifierKey, parsePrivateKey, parseVerifierKey } from '../../core/keys/key.ts';
import { formatNote, readNote } from '../../core/keys/note.ts';
import { encodePolicy, parsePolicy } from '../../core/policy/policy.ts';
import { decodeBundle, encodeBundle, entriesPath, parseTilePath, tilePath } from '../../core/tree/tile.ts';
import { envelopeOf, SIGNERS, testPolicy } from '../support/policies.ts';
import { readStateFile, type Snapshot, stateFile, stateRecords } from '../support/snapshots.ts';

/** A decoder under attack. */
export interface HostileFormat {
  readonly name: string;
  readonly samples: readonly Uint8Array[];
  /** Decodes `bytes` and writes the value again. */
  readonly again: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

const fill = (length: number, byte: number) => new Uint8Array(length).fill(byte);
const hash = fill(32, 1);
const id = fill(16, 2);
const keyId = fill(4, 3);
const signature = fill(64, 4);
const EVENT: Event = {
  id,
  stream: 'ströme',
  type: 'CREATE',
  importance: 'ESSENTIAL',
  occurredAt: 5,
  actor: { id: 'a', kind: 'JOB', onBehalfOf: 'b' },
  activity: { name: 'n', runId: null, version: 'v', environment: null },
  inputs: [{ namespace: 'n', name: 'm', version: null, digest: { algorithm: 'sha256', value: hash }, size: 7, mediaType: null }],
  outputs: [],
  parents: [{ stream: 's', id, digest: hash, origin: 'o' }],
  trace: { traceId: id, spanId: fill(8, 1) },
  attributes: [
    { key: 'a', value: '1' },
    { key: 'b', value: '🙂' },
  ],
  facets: [{ name: 'f', schemaUrl: 'u', json: '{}' }],
};
const event = EVENT_SCHEMA.encode(EVENT);
const headerValue = {
  origin: 'o',
  shard: 0,
  producer: 'p',
  epoch: id,
  number: 1,
  firstSeq: 3,
  count: 2,
  root: hash,
  previous: hash,
  schema: hash,
  createdAt: 1,
  sampledOut: 0,
  lanes: [],
};
const header = encodeBatchHeader(headerValue);
const heartbeat = encodeBatchHeader({
  ...headerValue,
  count: 0,
  root: Uint8Array.from(Buffer.from('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'hex')),
  lanes: [{ epoch: id, shard: 0, number: 3, seq: 70, final: true }],
});
const link: Link = {
  kind: 'link',
  stream: 's',
  index: 0,
  previous: hash,
  event: hash,
  schema: hash,
  acceptedAt: 1,
  inputOffset: 0,
  position: 0,
  marks: 1,
};
const seal: Seal = {
  kind: 'seal',
  origin: 'o/0',
  firstIndex: 0,
  links: 1,
  root: hash,
  previous: hash,
  inputGeneration: 0,
  inputFrom: 0,
  inputTo: 9,
  evidence: hash,
  policy: hash,
  acceptedAt: 1,
  chainer: 'c',
  final: false,
};
const evidence = encodeEvidence([
  {
    outcome: 'ACCEPTED',
    span: 1,
    appendedAt: 1,
    reason: 0,
    message: null,
    batch: { header, keyId, signature },
    receipts: [{ position: 1, digest: hash, id, outcome: 'DUPLICATE', reason: 0, original: 3 }],
  },
  { outcome: 'REJECTED', span: 1, appendedAt: 2, reason: 4, message: hash, batch: null, receipts: [] },
  { outcome: 'EMPTY', span: 9, appendedAt: 2, reason: 0, message: null, batch: null, receipts: [] },
]);
const row = {
  logIndex: 1,
  streamIndex: 0,
  acceptedAt: 1,
  producer: 'p',
  epoch: id,
  seq: 0,
  inputOffset: 0,
  position: 0,
  marks: 0,
  leafHash: hash,
};
const policy = testPolicy();
const producerKey = SIGNERS.producer.verifierKey;
const verifier = parseVerifierKey(producerKey);
const proof = {
  leaf: encodeLink(link),
  schema: '{}',
  event,
  header,
  keyId,
  signature,
  path: [hash, hash],
  producerKey,
  seal: { index: 1, leaf: encodeSeal(seal), path: [hash], keyId, signature },
  policies: [utf8('{}')],
};
const checkpoint = formatCheckpoint({ origin: 'example.com/o/0', size: 7, root: hash });
const note = formatNote(checkpoint, [
  { name: verifier.name, id: keyId, signature },
  { name: 'b', id: keyId, signature: fill(20, 1) },
]);

const SYNC = fill(16, 9);
const CONTAINER_SCHEMA = '{"fields":[{"name":"stream","type":"string"},{"name":"bytes","type":"bytes"}],"name":"R","type":"record"}';
const record = compileSchema<{ stream: string; bytes: Uint8Array }>(JSON.parse(CONTAINER_SCHEMA));

async function container(records: readonly Uint8Array[]): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of writeContainer(CONTAINER_SCHEMA, SYNC, records, deflateRawSync)) parts.push(part);
  return concat(...parts);
}

/** Throws for bytes behind the end, as the port demands. */
function inflate(data: Uint8Array, maxOutputLength: number): Uint8Array {
  const { buffer, engine } = inflateRawSync(data, { maxOutputLength, info: true }) as unknown as {
    readonly buffer: Uint8Array;
    readonly engine: { readonly bytesWritten: number };
  };
  if (engine.bytesWritten !== data.length) throw new Error('bytes follow the compressed data');
  return buffer;
}

/** Compression has many spellings, so a container that holds the same blocks counts as the same. */
async function containerAgain(bytes: Uint8Array): Promise<Uint8Array> {
  for await (const { data, records } of readContainer(CONTAINER_SCHEMA, SYNC, (at, length) => bytes.subarray(at, at + length), inflate)) {
    if (!equal(concat(...records), data)) throw new Error('records do not add up to their block');
    for (const each of records) if (!equal(record.encode(record.decode(each)), each)) throw new Error('a record has another spelling');
  }
  return bytes;
}

/** Blocks that say one record of a million bytes and inflate to 4 MiB. */
async function bomb(): Promise<Uint8Array> {
  const data = deflateRawSync(new Uint8Array(4 * 1024 * 1024));
  const [count, size] = [Uint8Array.of(2), compileSchema<number>('long').encode(data.length)];
  return concat(await container([]), count, size, data, SYNC);
}

/** A text format: the bytes are read as Node reads them, so that a mutant that is not UTF-8 is still a text. */
function text(name: string, samples: readonly string[], again: (text: string) => string): HostileFormat {
  return {
    name,
    samples: samples.map(utf8),
    again(bytes) {
      const read = Buffer.from(bytes).toString();
      return again(read) === read ? bytes : new Uint8Array(0);
    },
  };
}

function eventAgain(bytes: Uint8Array): Uint8Array {
  const value = EVENT_SCHEMA.decode(bytes);
  const head = EVENT_SCHEMA.readHead(bytes);
  if (head.stream !== value.stream || head.streamBytes !== utf8(value.stream).length || head.type !== value.type)
    throw new Error('the head differs from the event');
  return EVENT_SCHEMA.encode(value);
}

/** What only one of the two takes must not be. */
function headAgain(bytes: Uint8Array): Uint8Array {
  EVENT_SCHEMA.readHead(bytes);
  try {
    return EVENT_SCHEMA.encode(EVENT_SCHEMA.decode(bytes));
  } catch (cause) {
    throw new Error('the head of an event was read that cannot be decoded', { cause });
  }
}

function leafAgain(bytes: Uint8Array): Uint8Array {
  const leaf = decodeLeaf(bytes);
  return leaf.kind === 'link' ? encodeLink(leaf) : encodeSeal(leaf);
}

function archivedAgain(bytes: Uint8Array): Uint8Array {
  const read = decodeArchivedEvent(bytes);
  return encodeArchivedEvent(read.columns, read.event === null ? null : eventAgain(read.event));
}

/** Every decoder of the project, with samples to mutate. */
export async function hostileFormats(): Promise<readonly HostileFormat[]> {
  const snapshot: Snapshot = {
    origin: 'o',
    shard: 0,
    shards: 1,
    size: 3,
    frontier: [hash, hash],
    seal: hash,
    inputGeneration: 0,
    inputTo: 4,
    appendedAt: 1,
    acceptedAt: 1,
    chainOffset: 0,
    policy: hash,
    final: false,
    streams: [{ stream: 's', index: 0, hash, logIndex: 0, producer: 'p' }],
    lanes: [{ producer: 'p', epoch: id, number: 1, hash, appendedAt: 1 }],
  };
  const rejected = encodeRejected({
    origin: 'o',
    shard: 0,
    inputGeneration: 0,
    inputOffset: 1,
    span: 2,
    position: -1,
    outcome: 'REJECTED',
    reason: 4,
    digest: hash,
    size: 3,
    bytes: utf8('abc'),
  });
  const records = [0, 1, 2].map((i) => record.encode({ stream: `s${i}`, bytes: fill(30, i) }));
  const tiles = [0, 999, 1000, 1_234_067].flatMap((n) => [tilePath(0, n, 256), tilePath(6, n, 17), entriesPath(n, 255)]);
  return [
    { name: 'Event', samples: [event], again: eventAgain },
    { name: 'Event, its head', samples: [event], again: headAgain },
    { name: 'BatchHeader', samples: [header, heartbeat], again: (bytes) => encodeBatchHeader(decodeBatchHeader(bytes)) },
    {
      name: 'SignedBatch',
      samples: [encodeSignedBatch({ header, keyId, signature, events: [event, event] })],
      again: (bytes) => encodeSignedBatch(decodeSignedBatch(bytes)),
    },
    { name: 'Link', samples: [encodeLink(link)], again: leafAgain },
    { name: 'Seal', samples: [encodeSeal(seal)], again: leafAgain },
    { name: 'Evidence', samples: [evidence], again: (bytes) => encodeEvidence(decodeEvidence(bytes)) },
    {
      name: 'Block',
      samples: [
        encodeBlock({ seal: encodeSeal(seal), keyId, signature, links: [encodeLink(link)], events: [event], refused: [event], evidence }),
      ],
      again: (bytes) => encodeBlock(decodeBlock(bytes)),
    },
    { name: 'ArchivedEvent', samples: [encodeArchivedEvent(row, event), encodeArchivedEvent(row, null)], again: archivedAgain },
    {
      name: 'BlockEvidence',
      samples: [encodeBlockEvidence({ sealIndex: 1, keyId, signature, evidence })],
      again: (bytes) => encodeBlockEvidence(decodeBlockEvidence(bytes)),
    },
    {
      name: 'BlockRefused',
      samples: [encodeBlockRefused({ sealIndex: 1, events: [event, event] })],
      again: (bytes) => encodeBlockRefused(decodeBlockRefused(bytes)),
    },
    {
      name: 'Snapshot',
      samples: [...stateRecords(snapshot)],
      again: (bytes) => encodeStateRecord(decodeStateRecord(bytes)),
    },
    { name: 'state file', samples: [stateFile(snapshot)], again: (bytes) => stateFile(readStateFile(bytes)) },
    {
      name: 'statement of a snapshot',
      samples: [encodeSnapshotStatement({ origin: 'o/0', size: 3, bytes: 400, sha256: toHex(hash) })],
      again: (bytes) => encodeSnapshotStatement(parseSnapshotStatement(bytes)),
    },
    { name: 'Rejected', samples: [rejected], again: (bytes) => encodeRejected(decodeRejected(bytes)) },
    { name: 'EventProof', samples: [encodeEventProof(proof)], again: (bytes) => encodeEventProof(decodeEventProof(bytes)) },
    { name: 'container', samples: [await container(records), await container([])], again: containerAgain },
    { name: 'container that is a bomb', samples: [await bomb()], again: containerAgain },
    {
      name: 'framing',
      samples: [frame(7, event)],
      again: (bytes) => ((message) => frame(message.schemaId, message.payload))(unframe(bytes)),
    },
    {
      name: 'canonical JSON',
      samples: [utf8(canonicalJson({ a: [1.5, -0.1, 1e30, null, true], ü: '🙂\n"', z: { a: {}, b: [] } }))],
      again: (bytes) => utf8(canonicalJson(parseCanonicalJson(bytes))),
    },
    text('note', [note], (read) => ((claimed) => formatNote(claimed.text, claimed.signatures))(readNote(read))),
    text('checkpoint', [checkpoint], (read) => formatCheckpoint(parseCheckpoint(read))),
    text('verifier key', [producerKey, formatVerifierKey('a', 6, fill(40, 1))], (read) => {
      const parsed = parseVerifierKey(read);
      return formatVerifierKey(parsed.name, parsed.type, parsed.publicKey);
    }),
    text('private key', [formatPrivateKey('example.com', hash)], (read) =>
      ((key) => formatPrivateKey(key.name, key.seed))(parsePrivateKey(read)),
    ),
    {
      name: 'DSSE envelope',
      samples: [await envelopeOf(policy, SIGNERS.roots)],
      again: (bytes) => encodeEnvelope(decodeEnvelope(bytes, 'policy')),
    },
    { name: 'policy', samples: [encodePolicy(policy)], again: (bytes) => encodePolicy(parsePolicy(bytes)) },
    text(
      'tlog proof',
      [
        formatTlogProof({ extra: utf8('extra'), index: 3, path: [hash, hash], checkpoint: note }),
        formatTlogProof({ extra: fill(0, 0), index: 0, path: [], checkpoint: note }),
      ],
      (read) => formatTlogProof(parseTlogProof(read)),
    ),
    {
      name: 'bundle',
      samples: [encodeBundle([fill(3, 1), fill(0, 0), fill(200, 1)])],
      again: (bytes) => encodeBundle(decodeBundle(bytes)),
    },
    text('tile path', tiles, (read) => {
      const { level, n, width } = parseTilePath(read);
      return level === 'entries' ? entriesPath(n, width) : tilePath(level, n, width);
    }),
  ];
}
