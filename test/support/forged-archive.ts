import { deflateRawSync } from 'node:zlib';
import { sha256 } from '#crypto';
import { type Lane, type LogState, laneKey, type StreamEnd } from '../../core/acceptance/log-state.ts';
import { segmentSyncMarker } from '../../core/acceptance/segment-rule.ts';
import { ARCHIVE_JSON, logKeysOf, policyKey, schemaKey } from '../../core/archive/archive-keys.ts';
import { encodeManifest, type Manifest, type ManifestObject } from '../../core/archive/manifest.ts';
import { unframe } from '../../core/avro/framing.ts';
import { writeContainer } from '../../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { compareCodePoints, concat, toHex, utf8 } from '../../core/base/bytes.ts';
import { canonicalJson } from '../../core/base/jcs.ts';
import { type ArchivedColumns, archivedEventSchema, encodeArchivedEvent } from '../../core/formats/archived-event.ts';
import { type BatchHeader, decodeBatchHeader } from '../../core/formats/batch.ts';
import { decodeBlock } from '../../core/formats/block.ts';
import { type BlockEvidence, encodeBlockEvidence } from '../../core/formats/block-evidence.ts';
import { type BlockRefused, encodeBlockRefused } from '../../core/formats/block-refused.ts';
import type { EvidenceInput } from '../../core/formats/evidence.ts';
import { dedupKeyOfEvent, dedupKeyOfHeader } from '../../core/formats/identity.ts';
import { decodeLeaf, type Link, type Seal } from '../../core/formats/leaf.ts';
import { type Checkpoint, formatCheckpoint } from '../../core/keys/checkpoint.ts';
import { signTreeHead } from '../../core/keys/cose.ts';
import { encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { signNote } from '../../core/keys/note.ts';
import type { DedupHit } from '../../core/ports/dedup-index.ts';
import type { ByteRange, ListedObject, ObjectStore, StoredObject } from '../../core/ports/object-store.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { EMPTY_TAIL, growTree, type TreeTail } from '../../core/tree/build/tile.ts';
import { EMPTY_FRONTIER, extendFrontier, frontierRoot } from '../../core/tree/frontier.ts';
import { hashLeaves, leafHash } from '../../core/tree/hash.ts';
import { decodeBundle, entriesPath } from '../../core/tree/tile.ts';
import { EVIDENCE, type Forgery, forge, honest } from './forged-block.ts';
import type { BlockOptions, World } from './producer.ts';
import { snapshotObjects, snapshotOf } from './snapshots.ts';

/** An archive in memory that can be read and listed, and changed behind everybody's back. */
export class ArchiveObjects implements ObjectStore {
  readonly map = new Map<string, Uint8Array>();

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    const bytes = this.map.get(key);
    return bytes === undefined ? undefined : { bytes: bytes.slice(range?.start, range?.end), etag: toHex(sha256(bytes)) };
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    for (const key of [...this.map.keys()].toSorted()) if (key.startsWith(prefix)) yield { key, size: this.map.get(key)?.length ?? 0 };
  }

  create(): Promise<boolean> {
    throw new Error('a check of an archive writes nothing');
  }

  replace(): Promise<string | undefined> {
    throw new Error('a check of an archive writes nothing');
  }

  delete(): Promise<void> {
    throw new Error('a check of an archive deletes nothing');
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  /** The same objects, changed by `change`. */
  changed(change: (map: Map<string, Uint8Array>) => void): ArchiveObjects {
    const copy = new ArchiveObjects();
    for (const [key, bytes] of this.map) copy.map.set(key, bytes);
    change(copy.map);
    return copy;
  }
}

/** A block as it will be archived, taken apart without any judgement. */
interface TakenBlock {
  /** Tree index of its first leaf. */
  readonly first: number;
  readonly seal: Seal;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
  readonly evidence: Uint8Array;
  readonly inputs: readonly EvidenceInput[];
  readonly headers: ReadonlyMap<number, BatchHeader>;
  readonly links: readonly Link[];
  readonly events: readonly Uint8Array[];
  readonly refused: readonly Uint8Array[];
  readonly hashes: readonly Uint8Array[];
}

interface Row {
  readonly schema: string;
  readonly columns: ArchivedColumns;
  readonly event: Uint8Array | null;
}

/** What a forging archiver changes before it signs. */
export interface SegmentForgery {
  readonly rows?: (rows: Row[]) => Row[];
  readonly evidence?: (records: BlockEvidence[]) => BlockEvidence[];
  readonly refused?: (records: BlockRefused[]) => BlockRefused[];
  readonly manifest?: (manifest: Manifest) => Manifest;
  readonly snapshot?: boolean;
}

/**
 * An archiver that believes everything: it stores and signs any block with the log key, so that an archive is consistent in every way
 * but the one that a test breaks. Written apart from the real one: the same archive by two hands.
 */
export class ForgedArchive {
  readonly objects = new ArchiveObjects();
  readonly world: World;
  readonly state: LogState;
  readonly shard: number;
  /** The log key. */
  signer: Signer;
  readonly #known = new Map<string, DedupHit>();
  readonly #keys: ReturnType<typeof logKeysOf>;
  #tail: TreeTail = EMPTY_TAIL;
  #pending: Uint8Array[] = [];
  #blocks: TakenBlock[] = [];
  #previous: string | null = null;

  constructor(world: World, shard = 0, objects?: ArchiveObjects) {
    this.world = world;
    this.shard = shard;
    this.state = world.state(shard);
    this.signer = world.logs[shard] as Signer;
    this.#keys = logKeysOf(shard);
    if (objects !== undefined) this.objects = objects;
  }

  get size(): number {
    return this.state.head.size;
  }

  /** Appends the block that an honest chainer would make of the messages, changed by `spoil`. */
  async block(options: BlockOptions, spoil?: (forgery: Forgery) => void): Promise<void> {
    this.append(await this.forge(options, spoil));
  }

  /** That block, not appended yet. */
  forge(options: BlockOptions, spoil: (forgery: Forgery) => void = () => undefined): Promise<Uint8Array> {
    const known = (key: Uint8Array): DedupHit | undefined => this.#known.get(toHex(key));
    const forgery = honest(this.world, this.state, { known, ...options });
    spoil(forgery);
    return forge(this.state, forgery);
  }

  /** Takes any block that can be taken apart. */
  append(value: Uint8Array): void {
    const { head } = this.state;
    const block = takeApart(value, head.size);
    const bytes = decodeBlock(unframe(value).payload);
    const frontier = extendFrontier(head.frontier, block.hashes);
    const streams = new Map<string, StreamEnd>();
    for (const [i, { stream, index, inputOffset }] of block.links.entries()) {
      const { producer } = streams.get(stream) ?? this.state.stream(stream) ?? { producer: block.headers.get(inputOffset)?.producer ?? '' };
      streams.set(stream, { index, hash: block.hashes[i] as Uint8Array, logIndex: head.size + i, producer });
      this.#remember(block, i, head.size + i);
    }
    const { lanes, appendedAt } = this.#lanes(block);
    const policy = this.world.policies.byDigest(toHex(block.seal.policy)) ?? this.world.policy;
    this.state.apply({
      head: {
        ...head,
        size: frontier.size,
        frontier,
        seal: block.hashes.at(-1) as Uint8Array,
        inputGeneration: block.seal.inputGeneration,
        inputTo: block.seal.inputTo,
        appendedAt,
        acceptedAt: block.seal.acceptedAt,
        policy: toHex(block.seal.policy),
        final: block.seal.final,
      },
      streams,
      lanes,
      lanesFrom: appendedAt - policy.policy.laneRetentionMs * 1000,
    });
    this.#blocks.push(block);
    this.#pending.push(...bytes.links, bytes.seal);
  }

  #remember({ links, events }: TakenBlock, i: number, logIndex: number): void {
    const { stream, event, schema } = links[i] as Link;
    const compiled = this.world.context.eventSchema(toHex(schema));
    try {
      const { id } = compiled?.readHead(events[i] as Uint8Array) ?? { id: new Uint8Array(16) };
      this.#known.set(toHex(dedupKeyOfEvent(stream, id)), { logIndex, digest: event.slice(0, 16) });
    } catch {
      // A forged event may be anything.
    }
  }

  #lanes({ inputs, headers, seal }: TakenBlock): { lanes: Map<string, Lane>; appendedAt: number } {
    const lanes = new Map<string, Lane>();
    let offset = seal.inputFrom;
    let { appendedAt } = this.state.head;
    for (const input of inputs) {
      const header = headers.get(offset);
      appendedAt = input.appendedAt;
      if (header !== undefined && input.batch !== null) {
        const hash = sha256(input.batch.header);
        lanes.set(laneKey(header.producer, header.epoch), { number: header.number + 1, hash, appendedAt });
        this.#known.set(toHex(dedupKeyOfHeader(input.batch.header)), { logIndex: -1, digest: hash.slice(0, 16) });
      }
      offset += input.span;
    }
    return { lanes, appendedAt };
  }

  /** Forgets what was linked, as a chainer does after the window, or one that looks the other way. */
  forget(): void {
    this.#known.clear();
  }

  /** Stores the tree and signs the checkpoint. */
  async publish(): Promise<void> {
    const { objects, tail } = growTree(this.#tail, this.#pending);
    for (const { path, bytes } of objects) this.objects.map.set(`${this.#keys.folder}/${path}`, bytes);
    this.#tail = tail;
    this.#pending = [];
    const note = await this.note();
    this.objects.map.set(this.#keys.signed, note);
    this.objects.map.set(this.#keys.checkpoint, note);
    this.#storeNamed();
  }

  /** A note of the log key over the present tree head. */
  async note(): Promise<Uint8Array> {
    return utf8(await signNote(formatCheckpoint(this.#treeHead()), this.signer));
  }

  #treeHead(): Checkpoint {
    return { origin: `${this.world.origin}/${this.shard}`, size: this.size, root: frontierRoot(this.state.head.frontier) };
  }

  #storeNamed(): void {
    for (const [i, { hex }] of this.world.policies.versions.entries())
      this.objects.map.set(policyKey(hex), this.world.envelopes[i] as Uint8Array);
    for (const { hex, text } of this.world.schemas) this.objects.map.set(schemaKey(hex), utf8(text));
    const { origin, shards, roots, logs } = this.world.policy.policy;
    const contents = { origin, shards, roots: roots.keys, logs: logs.map(({ key }) => key) };
    this.objects.map.set(ARCHIVE_JSON, utf8(canonicalJson(contents)));
  }

  /** Publishes, then writes files, checkpoint and manifest of the segment of all blocks since the last one. */
  async close(forgery: SegmentForgery = {}): Promise<void> {
    await this.publish();
    const root = frontierRoot(this.state.head.frontier);
    const end = this.size;
    const { first } = this.#blocks[0] as TakenBlock;
    const sync = segmentSyncMarker(`${this.world.origin}/${this.shard}`, first, end, root);
    const honestRows = this.#blocks.flatMap(rowsOf);
    const rows = forgery.rows?.(honestRows) ?? honestRows;
    const stored: ManifestObject[] = [];
    for (const hex of [...new Set(rows.map(({ schema }) => schema))].toSorted()) {
      const text = archivedEventSchema(this.world.context.eventSchema(hex)?.text ?? '');
      const own = rows.filter(({ schema }) => schema === hex).map(({ columns, event }) => encodeArchivedEvent(columns, event));
      stored.push(await this.#container(this.#keys.events(first, end, hex), text, sync, own));
    }
    const honestRecords = this.#blocks.map(recordOf);
    const records = forgery.evidence?.(honestRecords) ?? honestRecords;
    stored.push(await this.#container(this.#keys.evidence(first, end), SCHEMA_TEXTS.BlockEvidence, sync, records.map(encodeBlockEvidence)));
    const honestRefused = this.#blocks.flatMap(refusedOf);
    const refused = (forgery.refused?.(honestRefused) ?? honestRefused).map(encodeBlockRefused);
    if (refused.length > 0) stored.push(await this.#container(this.#keys.refused(first, end), SCHEMA_TEXTS.BlockRefused, sync, refused));
    const derived = this.#manifest({ first, end, root: toHex(root), objects: stored }, rows);
    const payload = encodeManifest(forgery.manifest?.(derived) ?? derived);
    this.objects.map.set(this.#keys.checkpointAt(end), await this.note());
    this.objects.map.set(this.#keys.coseAt(end), await signTreeHead(this.#treeHead(), this.signer));
    this.objects.map.set(this.#keys.manifest(first, end), encodeEnvelope(await signEnvelope('manifest', payload, [this.signer])));
    this.#previous = toHex(sha256(payload));
    this.#blocks = [];
    if (forgery.snapshot === true) await this.snapshot();
  }

  async #container(key: string, schema: string, sync: Uint8Array, records: readonly Uint8Array[]): Promise<ManifestObject> {
    const pieces: Uint8Array[] = [];
    for await (const piece of writeContainer(schema, sync, records, (data) => deflateRawSync(data))) pieces.push(piece);
    const bytes = concat(...pieces);
    this.objects.map.set(key, bytes);
    const content = toHex(sha256(concat(...records)));
    return { name: key.slice(this.#keys.segments.length), size: bytes.length, sha256: toHex(sha256(bytes)), content };
  }

  #manifest(known: Pick<Manifest, 'first' | 'end' | 'root' | 'objects'>, rows: readonly Row[]): Manifest {
    const inputs = this.#blocks.flatMap((block) => block.inputs);
    const receipts = inputs.flatMap((input) => input.receipts);
    const outcome = (name: string): number => inputs.filter((input) => input.outcome === name).reduce((sum, { span }) => sum + span, 0);
    const receipt = (name: string): number => receipts.filter((each) => each.outcome === name).length;
    const producers = this.#blocks
      .flatMap((block) => block.links.map(({ inputOffset }) => block.headers.get(inputOffset)?.producer))
      .filter((producer) => producer !== undefined);
    const sampled = new Map<string, number>();
    for (const { producer, epoch, sampledOut } of this.#blocks.flatMap((block) => [...block.headers.values()])) {
      const lane = laneKey(producer, epoch);
      sampled.set(lane, Math.max(sampled.get(lane) ?? 0, sampledOut));
    }
    const occurred = rows.map(({ schema, event }) => this.#occurredAt(schema, event)).filter((time) => time !== undefined);
    const seals = this.#blocks.map(({ seal }) => seal);
    return {
      ...known,
      origin: `${this.world.origin}/${this.shard}`,
      counts: {
        links: this.#blocks.reduce((sum, { links }) => sum + links.length, 0),
        seals: seals.length,
        duplicates: receipt('DUPLICATE'),
        conflicts: receipt('CONFLICT'),
        repeated: outcome('REPEATED'),
        rejected: outcome('REJECTED') + receipt('REJECTED'),
        empty: outcome('EMPTY'),
        sampledOut: [...sampled.values()].reduce((sum, each) => sum + each, 0),
        perProducer: [...new Set(producers)]
          .toSorted(compareCodePoints)
          .map((producer) => ({ producer, links: producers.filter((each) => each === producer).length })),
      },
      occurred: occurred.length === 0 ? null : { from: Math.min(...occurred), to: Math.max(...occurred) },
      accepted: { from: seals[0]?.acceptedAt ?? 0, to: seals.at(-1)?.acceptedAt ?? 0 },
      schemas: [...new Set(this.#blocks.flatMap((block) => block.links.map(({ schema }) => toHex(schema))))].toSorted(),
      policies: [...new Set(seals.map(({ policy }) => toHex(policy)))].toSorted(),
      offsets: offsetsOf(seals),
      previous: this.#previous,
    };
  }

  #occurredAt(schema: string, event: Uint8Array | null): number | undefined {
    try {
      return event === null ? undefined : this.world.context.eventSchema(schema)?.readHead(event).occurredAt;
    } catch {
      return undefined;
    }
  }

  /** Writes the state at the present end. */
  async snapshot(): Promise<void> {
    const written = await snapshotObjects(snapshotOf(this.state, 17), [this.signer]);
    for (const [key, bytes] of written) this.objects.map.set(key, bytes);
  }
}

/** Root of the first `size` leaves, at most 256, as the archive's widest bundle has them. */
export function rootAt({ objects, size: all }: ForgedArchive, size: number): Uint8Array {
  const bundle = objects.map.get(`logs/0/${entriesPath(0, Math.min(all, 256))}`) ?? new Uint8Array(0);
  return frontierRoot(extendFrontier(EMPTY_FRONTIER, hashLeaves(decodeBundle(bundle).slice(0, size))));
}

/** What was forged may be anything. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

function takeApart(value: Uint8Array, first: number): TakenBlock {
  const block = decodeBlock(unframe(value).payload);
  const seal = decodeLeaf(block.seal) as Seal;
  const links = block.links.map((bytes) => decodeLeaf(bytes) as Link);
  const inputs = attempt(() => EVIDENCE.decode(block.evidence).inputs) ?? [];
  const headers = new Map<number, BatchHeader>();
  let offset = seal.inputFrom;
  for (const { outcome, batch, span } of inputs) {
    const header = outcome === 'ACCEPTED' && batch !== null ? attempt(() => decodeBatchHeader(batch.header)) : undefined;
    if (header !== undefined) headers.set(offset, header);
    offset += span;
  }
  const hashes = [...block.links, block.seal].map(leafHash);
  return { ...block, first, seal, inputs, headers, links, hashes };
}

function rowsOf({ first, links, events, headers, hashes }: TakenBlock): Row[] {
  return links.map((link, i) => {
    const header = headers.get(link.inputOffset);
    const columns: ArchivedColumns = {
      logIndex: first + i,
      streamIndex: link.index,
      acceptedAt: link.acceptedAt,
      producer: header?.producer ?? '',
      epoch: header?.epoch ?? new Uint8Array(16),
      seq: (header?.firstSeq ?? 0) + link.position,
      inputOffset: link.inputOffset,
      position: link.position,
      marks: link.marks,
      leafHash: hashes[i] as Uint8Array,
    };
    return { schema: toHex(link.schema), columns, event: events[i] as Uint8Array };
  });
}

function recordOf({ first, links, keyId, signature, evidence }: TakenBlock): BlockEvidence {
  return { sealIndex: first + links.length, keyId, signature, evidence };
}

function refusedOf({ first, links, refused }: TakenBlock): BlockRefused[] {
  return refused.length === 0 ? [] : [{ sealIndex: first + links.length, events: refused }];
}

function offsetsOf(seals: readonly Seal[]): { generation: number; from: number; to: number }[] {
  const ranges: { generation: number; from: number; to: number }[] = [];
  for (const { inputGeneration, inputFrom, inputTo } of seals) {
    const last = ranges.at(-1);
    if (last?.generation === inputGeneration) last.to = inputTo;
    else ranges.push({ generation: inputGeneration, from: inputFrom, to: inputTo });
  }
  return ranges;
}
