import { sha256 } from '#crypto';
import { concat, utf8 } from '../base/bytes.ts';
import { LIMITS } from '../base/limits.ts';

/** A segment that is being filled; a value. */
export interface OpenSegment {
  /** Tree index of its first leaf. */
  readonly first: number;
  readonly leaves: number;
  readonly eventBytes: number;
  readonly refusedBytes: number;
  readonly evidenceBytes: number;
  /** `acceptedAt` of its first seal, microseconds; undefined before that. */
  readonly firstSealAt: number | undefined;
}

/** The segment that begins at `first`. */
export function openSegment(first: number): OpenSegment {
  return { first, leaves: 0, eventBytes: 0, refusedBytes: 0, evidenceBytes: 0, firstSealAt: undefined };
}

/** The counts that one block adds to its segment. */
export interface SegmentStep {
  /** Leaves of the block, its seal included. */
  readonly leaves: number;
  readonly eventBytes: number;
  /** Of the events of REJECTED and CONFLICT receipts. */
  readonly refusedBytes: number;
  /** Of the encoded evidence. */
  readonly evidenceBytes: number;
  /** The seal's `acceptedAt`, microseconds. */
  readonly acceptedAt: number;
}

export function growSegment(segment: OpenSegment, step: SegmentStep): OpenSegment {
  return {
    first: segment.first,
    leaves: segment.leaves + step.leaves,
    eventBytes: segment.eventBytes + step.eventBytes,
    refusedBytes: segment.refusedBytes + step.refusedBytes,
    evidenceBytes: segment.evidenceBytes + step.evidenceBytes,
    firstSealAt: segment.firstSealAt ?? step.acceptedAt,
  };
}

/**
 * Whether a segment ends at the seal that it just grew by. The log alone decides this, so every archiver cuts at the same leaves (docs/formats.md §5).
 * `segmentMaxAgeMs` comes from the policy that the seal names.
 */
export function segmentEnds(segment: OpenSegment, sealAcceptedAt: number, segmentMaxAgeMs: number): boolean {
  if (segment.leaves >= LIMITS.segmentLeaves || isFull(segment)) return true;
  if (segment.firstSealAt === undefined) return false;
  // A policy set the time back to before the segment began: its age would start to count only after the time that was wrong.
  return sealAcceptedAt < segment.firstSealAt || sealAcceptedAt - segment.firstSealAt >= segmentMaxAgeMs * 1000;
}

function isFull({ eventBytes, refusedBytes, evidenceBytes }: OpenSegment): boolean {
  return (
    eventBytes >= LIMITS.segmentEventBytes || refusedBytes >= LIMITS.segmentRefusedBytes || evidenceBytes >= LIMITS.segmentEvidenceBytes
  );
}

/** Sync marker of a segment's events files, 16 bytes. Nobody can know it before the segment closes, so nobody can plant it in an event. */
export function segmentSyncMarker(origin: string, first: number, end: number, root: Uint8Array): Uint8Array {
  const numbers = new Uint8Array(16);
  const view = new DataView(numbers.buffer);
  view.setBigUint64(0, BigInt(first));
  view.setBigUint64(8, BigInt(end));
  return sha256(concat(utf8('lineproof segment'), numbers, root, utf8(origin))).slice(0, 16);
}
