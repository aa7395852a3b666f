import { listArchive } from '../auditor/archive-reader.ts';
import type { Audit } from '../auditor/audit.ts';
import { AUDIT_LIMITS } from '../auditor/audit-limits.ts';
import { Findings } from '../auditor/findings.ts';
import { type Governance, readGovernance } from '../auditor/governance.ts';
import { type AuditedSegment, readManifests, readSegment } from '../auditor/segment-audit.ts';
import { NO_WITNESSES } from '../auditor/witness-trust.ts';
import { fromHex } from '../core/base/bytes.ts';
import { printable } from '../core/base/terminal-text.ts';
import { mustGoOn, type PastVisitor, showInputs } from '../core/chain/chain-history.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { eventDigest } from '../core/formats/event.ts';
import { decodeEvidence } from '../core/formats/evidence.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';

export interface ArchivedPast {
  /** Leaves below this one were all shown. */
  readonly end: number;
  /** Why no further leaves were shown; undefined if nothing prevented it. */
  readonly obstacle: string | undefined;
}

export interface ArchiveOptions {
  readonly objects: ObjectStore;
  readonly sources: Sources;
  readonly pinned: readonly VerifierKey[];
  readonly shard: number;
}

/**
 * Shows a shard's leaves in the archive's segments, each compared with its signed manifest, from the first leaf on and at least up to leaf `until` if
 * there are that many. Throws CLOSED when `signal` aborts. It stops at the first segment that retention removed or that does not verify, so it leaves no hole.
 */
export async function visitArchive(
  options: ArchiveOptions,
  until: number,
  visitor: PastVisitor,
  signal: AbortSignal,
): Promise<ArchivedPast> {
  const { sources, shard } = options;
  const findings = new Findings();
  const { objects, listed } = await listArchive(options.objects, findings);
  const governance = await readGovernance(objects, listed, options.pinned, findings);
  if (governance === undefined) return { end: 0, obstacle: 'the archive holds no policy that verifies' };
  if (sources.policies.byDigest(governance.history.latest.hex) === undefined)
    return { end: 0, obstacle: 'the archive has another policy than the control topic' };
  const own = new Map([...listed].filter(([key]) => key.startsWith(`logs/${shard}/`)));
  const { origin, shards } = sources.policies.latest.policy;
  const audit: Audit = { objects, listed: own, origin, shard, shards, governance, findings, limits: AUDIT_LIMITS, witnesses: NO_WITNESSES };
  const manifests = await readManifests(audit);
  const archivedUntil = manifests.at(-1)?.manifest.accepted.to ?? 0;
  let end = 0;
  for (const stored of manifests) {
    mustGoOn(signal, shard);
    if (end >= until || failure(findings) !== undefined) break;
    const segment = await readSegment(audit, stored, archivedUntil);
    if (!segment.whole || failure(findings) !== undefined) break;
    showSegment(segment, governance, visitor);
    const { first, end: segmentEnd } = stored.manifest;
    if (segment.retired.size > 0) return { end, obstacle: `retention removed events of leaves ${first} to ${segmentEnd - 1}` };
    end = segmentEnd;
  }
  return { end, obstacle: failure(findings) };
}

function failure({ obstacles: [failed] }: Findings): string | undefined {
  return failed === undefined
    ? undefined
    : `the archive does not verify: ${printable(`${failed.message} (${failed.place.object ?? failed.code})`)}`;
}

function showSegment({ manifest, evidence, rows }: AuditedSegment, { schemas }: Governance, visitor: PastVisitor): void {
  const stretches = [...manifest.offsets];
  let at = stretches[0]?.from ?? 0;
  for (const block of evidence.values()) {
    const inputs = decodeEvidence(block.evidence);
    if (inputs.length === 0) continue;
    // Blocks never mix generations: input after the end of a stretch begins the next.
    while (stretches[0] !== undefined && at >= stretches[0].to) {
      stretches.shift();
      at = stretches[0]?.from ?? at;
    }
    if (stretches[0] !== undefined) at = showInputs(stretches[0].generation, at, inputs, visitor);
  }
  for (const { schema, event } of rows.values()) {
    if (event !== null) visitor.link(eventDigest(fromHex(schema), event), schemas.get(schema)?.readHead(event));
  }
}
