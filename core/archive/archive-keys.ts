import { sha256 } from '#crypto';
import { toHex, utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';

const DIGITS = 20;

function padded(index: number): string {
  return String(index).padStart(DIGITS, '0');
}

/** Key of the archive's table of contents, a convenience. */
export const ARCHIVE_JSON = 'archive.json';

/** `<first>-<end>` of a segment: 20-digit tree indices, end exclusive. */
export function segmentName(first: number, end: number): string {
  return `${padded(first)}-${padded(end)}`;
}

/** Object keys of one shard's log (docs/formats.md §5). Tiles and bundles: `${folder}/${tilePath(…)}`. */
export function logKeysOf(shard: number): {
  readonly folder: string;
  readonly signed: string;
  readonly checkpoint: string;
  readonly segments: string;
  readonly snapshots: string;
  readonly timestamps: string;
  checkpointAt(size: number): string;
  coseAt(size: number): string;
  /** `witnessKey` is the text of the witness's verifier key. */
  cosignature(size: number, witnessKey: string): string;
  events(first: number, end: number, schemaHex: string): string;
  evidence(first: number, end: number): string;
  refused(first: number, end: number): string;
  manifest(first: number, end: number): string;
  retired(first: number, end: number): string;
  snapshot(end: number): string;
  state(end: number): string;
  stampedNote(size: number): string;
  timestamp(size: number, authority: string): string;
  stampCertificates(size: number, authority: string): string;
} {
  const folder = `logs/${shard}`;
  const segments = `${folder}/segments/`;
  return {
    folder,
    signed: `${folder}/signed`,
    checkpoint: `${folder}/checkpoint`,
    segments,
    snapshots: `${folder}/snapshots/`,
    timestamps: `${folder}/timestamps/`,
    checkpointAt: (size) => `${folder}/checkpoints/${size}`,
    coseAt: (size) => `${folder}/checkpoints/${size}.cose`,
    cosignature: (size, witnessKey) => `${folder}/cosignatures/${size}.${toHex(sha256(utf8(witnessKey))).slice(0, 16)}`,
    events: (first, end, schemaHex) => `${segments}${segmentName(first, end)}.${schemaHex.slice(0, 16)}.events.avro`,
    evidence: (first, end) => `${segments}${segmentName(first, end)}.evidence.avro`,
    refused: (first, end) => `${segments}${segmentName(first, end)}.refused.avro`,
    manifest: (first, end) => `${segments}${segmentName(first, end)}.manifest.json`,
    retired: (first, end) => `${segments}${segmentName(first, end)}.retired.json`,
    snapshot: (end) => `${folder}/snapshots/${end}.json`,
    state: (end) => `${folder}/snapshots/${end}.state`,
    stampedNote: (size) => `${folder}/timestamps/${size}.note`,
    timestamp: (size, authority) => `${folder}/timestamps/${size}.${authority}.tsr`,
    stampCertificates: (size, authority) => `${folder}/timestamps/${size}.${authority}.pem`,
  };
}

/** Key of an event schema's JCS text. */
export function schemaKey(hex: string): string {
  return `schemas/${hex}.avsc`;
}

/** Key of a policy version's DSSE envelope. */
export function policyKey(hex: string): string {
  return `policies/${hex}.json`;
}

/** The kind and place of an object, from its key. `path` of a tile is its path inside the log. */
export type ArchiveKey =
  | { readonly kind: 'archive' }
  | { readonly kind: 'schema' | 'policy'; readonly hex: string }
  | { readonly kind: 'signed' | 'checkpoint'; readonly shard: number }
  /** `stampedNote`: a note that time stamps cover. */
  | { readonly kind: 'checkpointAt' | 'coseAt' | 'snapshot' | 'state' | 'stampedNote'; readonly shard: number; readonly size: number }
  | { readonly kind: 'cosignature'; readonly shard: number; readonly size: number; readonly witness: string }
  | { readonly kind: 'tile'; readonly shard: number; readonly path: string }
  | { readonly kind: 'events'; readonly shard: number; readonly first: number; readonly end: number; readonly schema: string }
  | { readonly kind: 'evidence' | 'refused' | 'manifest' | 'retired'; readonly shard: number; readonly first: number; readonly end: number }
  /** An authority's reply over the note of this size, and the certificates beside it. */
  | { readonly kind: 'timestamp' | 'stampCertificates'; readonly shard: number; readonly size: number; readonly authority: string };

const SIZE = '(0|[1-9][0-9]{0,15})';
const PATTERNS: readonly (readonly [RegExp, (match: readonly string[]) => ArchiveKey])[] = [
  [/^archive\.json$/, () => ({ kind: 'archive' })],
  [/^schemas\/([0-9a-f]{64})\.avsc$/, ([, hex = '']) => ({ kind: 'schema', hex })],
  [/^policies\/([0-9a-f]{64})\.json$/, ([, hex = '']) => ({ kind: 'policy', hex })],
  [new RegExp(`^logs/${SIZE}/signed$`), ([, shard]) => ({ kind: 'signed', shard: Number(shard) })],
  [new RegExp(`^logs/${SIZE}/checkpoint$`), ([, shard]) => ({ kind: 'checkpoint', shard: Number(shard) })],
  [
    new RegExp(`^logs/${SIZE}/checkpoints/${SIZE}$`),
    ([, shard, size]) => ({ kind: 'checkpointAt', shard: Number(shard), size: Number(size) }),
  ],
  [
    new RegExp(`^logs/${SIZE}/checkpoints/${SIZE}\\.cose$`),
    ([, shard, size]) => ({ kind: 'coseAt', shard: Number(shard), size: Number(size) }),
  ],
  [
    new RegExp(`^logs/${SIZE}/cosignatures/${SIZE}\\.([0-9a-f]{16})$`),
    ([, shard, size, witness = '']) => ({ kind: 'cosignature', shard: Number(shard), size: Number(size), witness }),
  ],
  [
    new RegExp(`^logs/${SIZE}/snapshots/${SIZE}\\.(json|state)$`),
    ([, shard, size, name]) => ({ kind: name === 'json' ? 'snapshot' : 'state', shard: Number(shard), size: Number(size) }),
  ],
  [
    new RegExp(`^logs/${SIZE}/timestamps/${SIZE}\\.note$`),
    ([, shard, size]) => ({ kind: 'stampedNote', shard: Number(shard), size: Number(size) }),
  ],
  [new RegExp(`^logs/${SIZE}/(tile/.+)$`), ([, shard, path = '']) => ({ kind: 'tile', shard: Number(shard), path })],
  [
    new RegExp(`^logs/${SIZE}/segments/([0-9]{20})-([0-9]{20})\\.([0-9a-f]{16})\\.events\\.avro$`),
    ([, shard, first, end, schema = '']) => ({ kind: 'events', shard: Number(shard), first: Number(first), end: Number(end), schema }),
  ],
  [
    new RegExp(`^logs/${SIZE}/segments/([0-9]{20})-([0-9]{20})\\.(evidence\\.avro|refused\\.avro|manifest\\.json|retired\\.json)$`),
    ([, shard, first, end, name = '']) => ({
      kind: name.split('.')[0] as 'evidence' | 'refused' | 'manifest' | 'retired',
      shard: Number(shard),
      first: Number(first),
      end: Number(end),
    }),
  ],
  [
    new RegExp(`^logs/${SIZE}/timestamps/${SIZE}\\.([a-z0-9-]{1,64})\\.(tsr|pem)$`),
    ([, shard, size, authority = '', ending]) => ({
      kind: ending === 'tsr' ? 'timestamp' : 'stampCertificates',
      shard: Number(shard),
      size: Number(size),
      authority,
    }),
  ],
];

/** Reads an object's key; throws FORMAT_INVALID if an archive has no such object. */
export function parseArchiveKey(key: string): ArchiveKey {
  for (const [pattern, make] of PATTERNS) {
    const match = pattern.exec(key);
    if (match === null) continue;
    const place = make(match);
    // A number beyond 2^53 would be rounded to a neighbour, so that two keys meant one place.
    if (Object.values(place).every((value) => typeof value !== 'number' || Number.isSafeInteger(value))) return place;
  }
  throw new LineproofError('FORMAT_INVALID', `cannot place ${JSON.stringify(key.slice(0, 120))}: the archive has no such object`);
}
