import { randomBytes, sha256 } from '#crypto';
import { openLogNote, type SignedNote } from '../core/archive/archive-anchor.ts';
import { logKeysOf } from '../core/archive/archive-keys.ts';
import { newestStamps } from '../core/archive/stamp-listing.ts';
import { equal, utf8 } from '../core/base/bytes.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { waitAfter } from '../core/base/retry.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { formatCertificates } from '../core/keys/certificate-text.ts';
import { formatCheckpoint } from '../core/keys/checkpoint.ts';
import { encodeStampRequest } from '../core/keys/time-stamp.ts';
import { checkStamp, type ProvenStamp } from '../core/keys/time-stamp-check.ts';
import type { StampAuthority } from '../core/policy/policy-document.ts';
import { knownAuthority } from '../core/policy/stamp-authorities.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { TimestampAuthority } from '../core/ports/timestamp-authority.ts';
import { putOnce } from './write-once.ts';

export interface TimeStampsOptions {
  readonly origin: string;
  readonly shard: number;
  readonly objects: ObjectStore;
  readonly sources: Sources;
  readonly authority: TimestampAuthority;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Leaves that the newest signed note covers, as this process knows: asking costs nothing. */
  readonly attestedSize: () => number;
}

/** How often it is looked whether a time stamp is due; nothing but memory is read for that. */
const LOOK_MS = 250;
/** After failures an authority is asked again this soon at first, and this late at last. */
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 600_000;
const UNPUBLISHED_MS = 1_000;
const NONCE_BYTES = 16;

/** Where one authority is. `TimeStamps` replaces it after each try. */
interface Progress {
  /** Leaves that its newest kept time stamp covers; undefined until the store said it. */
  readonly size: number | undefined;
  /** Not asked before this time of the monotonic clock. */
  readonly notBeforeMs: number;
  readonly failures: number;
}

/**
 * Asks the policy's authorities for time stamps of one shard's published notes: each at most once in the policy's interval, and only if the newest note covers
 * more than the last time stamp. So it is silent while the log is. It runs beside the archiver and shares nothing with it but the store: whatever an authority
 * does, notes are signed and published as without it.
 */
export class TimeStamps {
  readonly #o: TimeStampsOptions;
  readonly #keys: ReturnType<typeof logKeysOf>;
  readonly #progress = new Map<string, Progress>();

  constructor(options: TimeStampsOptions) {
    this.#o = options;
    this.#keys = logKeysOf(options.shard);
  }

  /** Works until `signal` aborts. Never throws: a failure is logged and counted, and tried again later. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#o;
    while (!signal.aborted) {
      await this.#visitAll(signal);
      await clock.sleep(LOOK_MS, signal);
    }
    for (const name of this.#progress.keys())
      for (const gauge of ['lineproof_stamp_timestamp_seconds', 'lineproof_stamp_size'] as const) metrics.forget(gauge, this.#labels(name));
  }

  async #visitAll(signal: AbortSignal): Promise<void> {
    const { sources, attestedSize } = this.#o;
    // Before the first note, the policy may not be read yet.
    const timestamping = attestedSize() === 0 ? null : sources.policies.latest.policy.timestamping;
    if (timestamping === null) return;
    const { authorities, intervalMs } = timestamping;
    await Promise.all(authorities.map((entry) => this.#visit(entry, intervalMs, signal)));
  }

  /** Asks one authority if it is due. */
  async #visit(entry: StampAuthority, intervalMs: number, signal: AbortSignal): Promise<void> {
    const { clock, attestedSize } = this.#o;
    const before = this.#progress.get(entry.name);
    if (entry.roots.length === 0 || attestedSize() <= (before?.size ?? 0) || clock.monotonicMs() < (before?.notBeforeMs ?? 0)) return;
    try {
      const known = before?.size === undefined ? await this.#recover(entry.name, intervalMs) : before;
      const covered = known.size ?? 0;
      this.#progress.set(entry.name, known);
      if (clock.monotonicMs() < known.notBeforeMs) return;
      const note = await this.#published();
      if (note === undefined || note.size <= covered) {
        // A note was signed and is not published yet.
        this.#progress.set(entry.name, { ...known, notBeforeMs: clock.monotonicMs() + UNPUBLISHED_MS });
        return;
      }
      const stamp = await this.#ask(entry, note, signal);
      // COMMIT POINT: the time stamp is in the store. Nothing rests on it before, and a crash costs one more request.
      await this.#keep(entry.name, note, stamp);
      this.#progress.set(entry.name, { size: note.size, notBeforeMs: clock.monotonicMs() + intervalMs, failures: 0 });
    } catch (error) {
      if (!signal.aborted) this.#failed(entry.name, error, intervalMs);
    }
  }

  /** The newest time stamp of an authority that is in the store says when it may be asked again. */
  async #recover(authority: string, intervalMs: number): Promise<Progress> {
    const { objects, shard, clock, attestedSize } = this.#o;
    const { size, genTime } = (await newestStamps(objects, shard, attestedSize())).get(authority) ?? { size: 0, genTime: undefined };
    if (genTime === undefined) return { size, notBeforeMs: 0, failures: 0 };
    this.#show(authority, size, genTime);
    const ageMs = Math.max(0, (clock.nowMicros() - genTime) / 1000);
    return { size, notBeforeMs: clock.monotonicMs() + Math.max(0, intervalMs - ageMs), failures: 0 };
  }

  async #published(): Promise<SignedNote | undefined> {
    const { objects, origin, shard, sources } = this.#o;
    const stored = await objects.get(this.#keys.checkpoint);
    return stored === undefined ? undefined : openLogNote(stored.bytes, `${origin}/${shard}`, sources.policies.latest.logKeys(shard));
  }

  async #ask(entry: StampAuthority, note: SignedNote, signal: AbortSignal): Promise<KeptStamp> {
    const text = formatCheckpoint(note);
    const nonce = randomBytes(NONCE_BYTES);
    // A positive integer without padding.
    nonce[0] = ((nonce[0] as number) & 0x3f) | 0x40;
    const reply = await this.#o.authority.ask(entry.url, encodeStampRequest(sha256(utf8(text)), nonce), signal);
    const { roots, intermediates } = knownAuthority(entry);
    const result = checkStamp(reply, { text, roots, others: intermediates, policies: entry.policies, nonce });
    if ('fault' in result) throw unusable(entry.name, result.fault.message);
    this.#checkTime(entry.name, result);
    return { ...result, reply };
  }

  /** A time stamp is kept for ever, so one with a wrong time is not kept at all. */
  #checkTime(authority: string, { genTime, accuracy }: ProvenStamp): void {
    const { clock, sources } = this.#o;
    const allowed = sources.policies.latest.policy.clockSkewMs * 1000 + accuracy;
    const differs = genTime - clock.nowMicros();
    if (Math.abs(differs) <= allowed) return;
    const seconds = Math.round(differs / 1e6);
    throw unusable(authority, `its time differs from this clock by ${seconds} s, and the policy's clockSkewMs allows less`);
  }

  /** Stores the note and the certificates, which nothing rests on alone, and then the time stamp. */
  async #keep(authority: string, note: SignedNote, { reply, genTime, path }: KeptStamp): Promise<void> {
    const { objects, origin, shard, sources } = this.#o;
    await putOnce(objects, this.#keys.stampedNote(note.size), utf8(note.note), (stored) => {
      const there = openLogNote(stored, `${origin}/${shard}`, sources.policies.latest.logKeys(shard));
      return there.size === note.size && equal(there.root, note.root);
    });
    const between = path.slice(1, -1);
    if (between.length > 0) await objects.create(this.#keys.stampCertificates(note.size, authority), utf8(formatCertificates(between)));
    // If another archiver was faster, its time stamp of the same note stays.
    await objects.create(this.#keys.timestamp(note.size, authority), reply);
    this.#show(authority, note.size, genTime);
  }

  #failed(authority: string, error: unknown, intervalMs: number): void {
    const { shard, clock, logger, metrics } = this.#o;
    const { size, failures = 0 } = this.#progress.get(authority) ?? {};
    const code = error instanceof LineproofError ? error.code : 'INTERNAL';
    logger.warn(LOG.stampFailed, { shard, authority, code, reason: messageOf(error) });
    metrics.add('lineproof_stamp_errors_total', 1, this.#labels(authority));
    const pace = { firstMs: Math.min(FIRST_RETRY_MS, intervalMs), maxMs: Math.min(LAST_RETRY_MS, intervalMs) };
    const notBeforeMs = clock.monotonicMs() + waitAfter(failures + 1, pace);
    this.#progress.set(authority, { size, notBeforeMs, failures: failures + 1 });
  }

  #show(authority: string, size: number, genTime: number): void {
    this.#o.metrics.set('lineproof_stamp_timestamp_seconds', genTime / 1e6, this.#labels(authority));
    this.#o.metrics.set('lineproof_stamp_size', size, this.#labels(authority));
  }

  #labels(authority: string): { readonly shard: string; readonly authority: string } {
    return { shard: String(this.#o.shard), authority };
  }
}

interface KeptStamp extends ProvenStamp {
  readonly reply: Uint8Array;
}

function unusable(authority: string, fact: string): LineproofError {
  return new LineproofError('ANSWER_UNUSABLE', `cannot keep the time stamp of ${authority}: ${fact}`, { authority });
}
