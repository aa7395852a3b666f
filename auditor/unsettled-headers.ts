import type { HeaderCheck } from '../core/acceptance/batch-check.ts';
import { toHex } from '../core/base/bytes.ts';
import { reasonTraits } from '../core/base/reasons.ts';
import type { EvidenceInput } from '../core/formats/evidence.ts';
import { dedupKeyOfHeader } from '../core/formats/identity.ts';
import type { Findings } from './findings.ts';
import { headerOf } from './proven-batch.ts';
import { isSigned } from './refusals.ts';
import type { Place } from './verdict.ts';

/** Why a header is not settled, and the first place of that. */
interface Unsettled {
  readonly message: string;
  readonly place: Place;
}

/**
 * Headers of one shard that their producers signed, whose messages were refused for bytes that no signature covers: too large, another number of events, other
 * events. Whoever carried such a message may have swapped its events, and the header may be all that is known of its lane. Only ACCEPTED settles it.
 */
export class UnsettledHeaders {
  /** By the header's key in the dedup index, hex. */
  readonly #headers = new Map<string, Unsettled>();

  /** Takes a REJECTED input whose header was never accepted so far. */
  refused(input: EvidenceInput, check: HeaderCheck | undefined, place: Place): void {
    const traits = reasonTraits(input.reason);
    const header = headerOf(input);
    // A header that shows the reason itself is judged before its signature.
    const isUncovered = traits?.shows === 'events' || traits?.shows === 'header or events';
    if (input.batch === null || header === undefined || !isUncovered || !isSigned(check)) return;
    const key = keyOf(input.batch.header);
    if (this.#headers.has(key)) return;
    const message = `batch ${header.number} of ${header.producer}, epoch ${toHex(header.epoch)}, was refused for bytes that its signature does not cover`;
    this.#headers.set(key, { message, place });
  }

  /** Takes an ACCEPTED header. */
  accepted(header: Uint8Array): void {
    if (this.#headers.size > 0) this.#headers.delete(keyOf(header));
  }

  /** Reports the headers that were not accepted to the end of the shard. */
  finish(findings: Findings): void {
    for (const { message, place } of this.#headers.values())
      findings.add('HEADER_UNSETTLED', `${message}, and was not accepted since`, place);
  }
}

function keyOf(header: Uint8Array): string {
  return toHex(dedupKeyOfHeader(header));
}
