import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { checkName, checkStream, mustCount, mustFit, mustHold } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';

/** Bits of a link's `marks`: hints that the auditor derives again. */
export const MARKS = { gapBefore: 1 } as const;

/** One event's place in its stream and in the log (docs/formats.md §3). Times are microseconds since 1970. */
export interface Link {
  readonly kind: 'link';
  readonly stream: string;
  readonly index: number;
  readonly previous: Uint8Array;
  readonly event: Uint8Array;
  readonly schema: Uint8Array;
  readonly acceptedAt: number;
  readonly inputOffset: number;
  readonly position: number;
  readonly marks: number;
}

/** The last leaf of every block (docs/formats.md §3). */
export interface Seal {
  readonly kind: 'seal';
  readonly origin: string;
  readonly firstIndex: number;
  readonly links: number;
  readonly root: Uint8Array;
  readonly previous: Uint8Array;
  readonly inputGeneration: number;
  readonly inputFrom: number;
  readonly inputTo: number;
  readonly evidence: Uint8Array;
  readonly policy: Uint8Array;
  readonly acceptedAt: number;
  readonly chainer: string;
  readonly final: boolean;
}

type Branch =
  | { readonly branch: 'Link'; readonly value: Omit<Link, 'kind'> }
  | { readonly branch: 'Seal'; readonly value: Omit<Seal, 'kind'> };
const leaves = compileSchema<Branch>(JSON.parse(SCHEMA_TEXTS.Leaf));

/** Throws the error that {@link decodeLeaf} would throw on the bytes. */
export function encodeLink(link: Link): Uint8Array {
  checkLink(link);
  return fitting(leaves.encode({ branch: 'Link', value: link }));
}

/** Throws the error that {@link decodeLeaf} would throw on the bytes. */
export function encodeSeal(seal: Seal): Uint8Array {
  checkSeal(seal);
  return fitting(leaves.encode({ branch: 'Seal', value: seal }));
}

/** Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED. */
export function decodeLeaf(bytes: Uint8Array): Link | Seal {
  const leaf = leaves.decode(fitting(bytes));
  if (leaf.branch === 'Link') {
    // The decoded record is ours alone, so it can take one more member. A copy would cost as much as the decoding.
    const link = Object.assign(leaf.value, { kind: 'link' as const });
    checkLink(link);
    return link;
  }
  const seal = Object.assign(leaf.value, { kind: 'seal' as const });
  checkSeal(seal);
  return seal;
}

function fitting(bytes: Uint8Array): Uint8Array {
  mustFit(bytes.length, LIMITS.leafBytes, 'leaf');
  return bytes;
}

function checkLink(link: Link): void {
  checkStream(link.stream);
  mustCount('link', link.index, link.acceptedAt, link.inputOffset, link.position);
  mustHold(link.marks === 0 || link.marks === MARKS.gapBefore, 'cannot take link: it has unknown marks');
}

function checkSeal(seal: Seal): void {
  checkName(seal.origin, 'origin');
  checkName(seal.chainer, 'chainer');
  mustCount('seal', seal.firstIndex, seal.links, seal.inputGeneration, seal.inputFrom, seal.acceptedAt);
  mustHold(seal.inputTo >= seal.inputFrom, 'cannot take seal: its input ends before it starts');
}
