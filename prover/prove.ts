import { type ArchiveReader, listArchive } from '../auditor/archive-reader.ts';
import { attestedNote, attestedTreeHead, NOTE_FINDINGS } from '../auditor/attestation.ts';
import type { Audit } from '../auditor/audit.ts';
import { AUDIT_LIMITS } from '../auditor/audit-limits.ts';
import type { Findings } from '../auditor/findings.ts';
import { type Governance, readGovernance } from '../auditor/governance.ts';
import { type AuditedSegment, readManifests, readSegment } from '../auditor/segment-audit.ts';
import type { StoredManifest } from '../auditor/stored-manifest.ts';
import { NO_WITNESSES } from '../auditor/witness-trust.ts';
import { logKeysOf, policyKey } from '../core/archive/archive-keys.ts';
import { utf8Text } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import { formatUuid } from '../core/formats/identity.ts';
import { receiptOf } from '../core/keys/cose.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { proveInclusion, type ReadHash, tileHashReader } from '../core/tree/build/proof.ts';
import { leafHash } from '../core/tree/hash.ts';
import { checkInclusion } from '../core/tree/proof.ts';
import { BlockReader, LeafReader } from './block-lookup.ts';
import { makeProof, type NotedTree } from './proof-maker.ts';
import { isWanted, mayHold, shardsOf, type Wanted } from './wanted.ts';

/** A proof that was made, with what it is of. */
export interface MadeProof {
  readonly shard: number;
  readonly leaf: number;
  /** Leaves that its note covers. */
  readonly size: number;
  readonly stream: string;
  readonly streamIndex: number;
  readonly id: string;
  readonly type: string;
  /** The `.tlog-proof` file. */
  readonly text: string;
  /** Makes a COSE receipt of the event's link. Throws NOT_FOUND or FORMAT_INVALID where the archive lacks a COSE signature that can be used. */
  receipt(): Promise<CoseReceipt>;
}

/** A COSE receipt (RFC 9942) over the kept tree head at the end of the event's segment. */
export interface CoseReceipt {
  readonly receipt: Uint8Array;
  /** The bytes of the link: what it is a receipt of. */
  readonly leaf: Uint8Array;
  /** Leaves that the tree head covers. */
  readonly size: number;
}

/** How far a search has come. */
export interface ProveProgress {
  /** By shard, the leaf up to which closed segments were searched before: they are passed over, and the map is brought up to date. */
  readonly searched?: Map<number, number>;
  /** Called with the number of leaves that were searched and of those to be searched. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Called for each segment whose events retention removed. */
  readonly onRemoved?: (shard: number, first: number, end: number) => void;
  /** Called with the leaves of a shard that are attested and in no closed segment yet: they have no evidence, so nothing can be proven of them. */
  readonly onOpen?: (shard: number, first: number, end: number) => void;
}

/**
 * Makes a proof of each wanted event of an archive, in the order of each shard's log, over the newest published note. What cannot be read, or is not as
 * its manifest says, is a finding, and the events there are left out. Throws NOT_FOUND where the wanted leaf is the seal of a block.
 */
export async function* proveEvents(
  store: ObjectStore,
  wanted: Wanted,
  findings: Findings,
  progress: ProveProgress = {},
): AsyncGenerator<MadeProof> {
  const { objects, listed } = await listArchive(store, findings);
  const governance = await readGovernance(objects, listed, [], findings);
  if (governance === undefined) return;
  const { origin, shards } = governance.history.latest.policy;
  const policies = await readPolicies(objects, governance);
  for (const shard of shardsOf(wanted, shards)) {
    const own = new Map([...listed].filter(([key]) => key.startsWith(`logs/${shard}/`)));
    const audit: Audit = {
      objects,
      listed: own,
      origin,
      shard,
      shards,
      governance,
      findings,
      limits: AUDIT_LIMITS,
      witnesses: NO_WITNESSES,
    };
    const attested = await readNote(audit);
    if (attested !== undefined) yield* proveShard({ audit, policies, ...attested }, wanted, progress);
  }
}

/** A shard's log as its newest published note attests it. */
interface AttestedLog {
  readonly audit: Audit;
  readonly policies: readonly Uint8Array[];
  readonly note: string;
  readonly size: number;
}

async function readPolicies(objects: ArchiveReader, { history }: Governance): Promise<Uint8Array[]> {
  const envelopes: Uint8Array[] = [];
  for (const { hex } of history.versions) envelopes.push((await objects.get(policyKey(hex)))?.bytes ?? new Uint8Array(0));
  return envelopes;
}

async function readNote({
  objects,
  listed,
  origin,
  shard,
  governance,
  findings,
}: Audit): Promise<{ note: string; size: number } | undefined> {
  const object = logKeysOf(shard).checkpoint;
  const stored = await objects.get(object);
  if (stored === undefined) {
    // Before the first note of a log there is no segment either.
    if ([...listed.keys()].some((key) => key.startsWith(logKeysOf(shard).segments)))
      findings.add(
        'MISSING',
        'the log does not have this note, so nothing of it can be proven',
        { shard, object },
        { property: 'ARCHIVE' },
      );
    return undefined;
  }
  const { value, faults } = attestedNote(stored.bytes, `${origin}/${shard}`, shard, governance.logKeys(shard));
  for (const { code, message } of faults) findings.add(NOTE_FINDINGS[code], `the note cannot be used: ${message}`, { shard, object });
  return value === undefined ? undefined : { note: utf8Text(stored.bytes), size: value.size };
}

async function* proveShard(log: AttestedLog, wanted: Wanted, progress: ProveProgress): AsyncGenerator<MadeProof> {
  const { audit, size } = log;
  const manifests = await closedSegments(log);
  const end = manifests.at(-1)?.manifest.end ?? 0;
  if (size > end) progress.onOpen?.(audit.shard, end, size);
  const archivedUntil = manifests.at(-1)?.manifest.accepted.to ?? 0;
  const tools: Tools = {
    ...log,
    leaves: new LeafReader(audit.objects, audit.shard, size),
    readHash: hashReader(log),
    policy: audit.governance.history.latest,
  };
  for (const stored of manifests) {
    const { first, end: segmentEnd } = stored.manifest;
    if (!mayHold(wanted, first, segmentEnd) || segmentEnd <= (progress.searched?.get(audit.shard) ?? 0)) continue;
    if (wanted.kind === 'leaf' && !(await isEvent(tools, wanted.leaf))) continue;
    const segment = await readSegment(audit, stored, archivedUntil);
    if (segment.retired.size > 0) progress.onRemoved?.(audit.shard, first, segmentEnd);
    yield* proveSegment(tools, { segment, end: segmentEnd }, wanted);
    progress.searched?.set(audit.shard, segmentEnd);
    progress.onProgress?.(segmentEnd, size);
  }
}

/** The segments that the note covers. One beyond it is a finding: an archiver publishes the note first. */
async function closedSegments({ audit, size }: AttestedLog): Promise<StoredManifest[]> {
  const { shard, findings } = audit;
  const manifests = await readManifests(audit);
  const beyond = manifests.find(({ manifest }) => manifest.end > size);
  if (beyond !== undefined) {
    const message = `the checkpoint covers ${size} leaves, but ${beyond.key} ends at ${beyond.manifest.end}: it was set back`;
    findings.add('CHECKPOINT_OLD', message, { shard, object: logKeysOf(shard).checkpoint });
  }
  return manifests.filter(({ manifest }) => manifest.end <= size);
}

/** Whether a wanted leaf can be read and is an event. Throws NOT_FOUND where it is a seal; a leaf that cannot be read is a finding. */
async function isEvent({ leaves, audit }: Tools, index: number): Promise<boolean> {
  const { shard, findings } = audit;
  const stored = await orFinding(() => leaves.leaf(index), { findings, shard, leaf: index });
  if (stored?.leaf.kind !== 'seal') return stored !== undefined;
  throw new LineproofError('NOT_FOUND', `cannot prove leaf ${shard}/${index}: it is the seal of a block, not an event`);
}

interface Tools extends AttestedLog, NotedTree {
  readonly leaves: LeafReader;
}

function hashReader({ audit, size }: AttestedLog): ReadHash {
  const { folder } = logKeysOf(audit.shard);
  return tileHashReader(size, async (path) => (await audit.objects.get(`${folder}/${path}`))?.bytes);
}

async function* proveSegment(
  tools: Tools,
  { segment, end }: { readonly segment: AuditedSegment; readonly end: number },
  wanted: Wanted,
): AsyncGenerator<MadeProof> {
  const { findings, governance, shard } = tools.audit;
  const blocks = new BlockReader(segment, end, tools.leaves);
  for (const [leaf, row] of segment.rows) {
    const schema = governance.schemas.get(row.schema);
    if (schema === undefined || row.event === null) continue;
    const { streamIndex } = row.columns;
    const one = { leaf, event: row.event, schema };
    const made = await orFinding(async () => (isWanted(wanted, { ...one, streamIndex }) ? proveEvent(tools, blocks, one) : undefined), {
      findings,
      shard,
      leaf,
    });
    if (made !== undefined) yield made;
  }
}

/** What `make` gives. Where the archive does not give what it needs, that is a finding, and undefined; what cannot be read for now is thrown. */
async function orFinding<T>(
  make: () => Promise<T>,
  { findings, ...place }: { readonly findings: Findings; readonly shard: number; readonly leaf: number },
): Promise<T | undefined> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof LineproofError) || error.retryable) throw error;
    findings.add('UNSHOWN', error.message, place, { property: 'LOG' });
    return undefined;
  }
}

interface Row {
  readonly leaf: number;
  readonly event: Uint8Array;
  readonly schema: EventSchema;
}

/** The proof of one archived event. Throws NOT_FOUND or a format's error where the archive does not give its parts. */
async function proveEvent(tools: Tools, blocks: BlockReader, { leaf: index, event, schema }: Row): Promise<MadeProof> {
  const { audit, leaves, size } = tools;
  const link = await leaves.link(index);
  const { id, stream, type } = schema.readHead(event);
  const text = await makeProof(tools, { index, link, block: await blocks.of(index), event, schema: schema.text });
  const receipt = (): Promise<CoseReceipt> => makeReceipt(tools, blocks.end, { index, leaf: link.bytes });
  return { shard: audit.shard, leaf: index, size, stream, streamIndex: link.leaf.index, id: formatUuid(id), type, text, receipt };
}

async function makeReceipt(
  { audit, readHash }: Tools,
  size: number,
  { index, leaf }: { readonly index: number; readonly leaf: Uint8Array },
): Promise<CoseReceipt> {
  const { checkpointAt, coseAt } = logKeysOf(audit.shard);
  const keys = audit.governance.logKeys(audit.shard);
  const [note, head] = [await audit.objects.get(checkpointAt(size)), await audit.objects.get(coseAt(size))];
  const kept = note === undefined ? undefined : attestedNote(note.bytes, `${audit.origin}/${audit.shard}`, audit.shard, keys).value;
  if (head === undefined || kept === undefined)
    throw new LineproofError('NOT_FOUND', `cannot make receipt of leaf ${index}: the archive has no usable ${coseAt(size)} with its note`);
  const { faults } = attestedTreeHead(head.bytes, kept, audit.shard, keys);
  // The nodes below `size` are complete subtrees in every later tree.
  const path = await proveInclusion(size, index, readHash);
  if (faults.length > 0 || !checkInclusion(path, size, index, leafHash(leaf), kept.root))
    throw new LineproofError(
      'FORMAT_INVALID',
      `cannot make receipt of leaf ${index}: ${coseAt(size)} is not a log key's, or of another tree`,
    );
  return { receipt: receiptOf(head.bytes, { size, index, path }), leaf, size };
}
