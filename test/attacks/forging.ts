import { decodeEnvelope, encodeEnvelope, type PayloadType, signEnvelope } from '../../core/keys/dsse.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { required } from '../support/rich-archive.ts';
import type { Alter, Attack, Results } from './attack.ts';
import type { Messages, Spoil, Stage, StageBlock } from './stage.ts';

/** A block that a chainer forges, and what becomes of it. */
export interface ForgedStep extends Results {
  readonly name: string;
  readonly messages?: (stage: Stage) => Promise<Messages>;
  readonly spoil?: Spoil;
  readonly options?: (stage: Stage) => StageBlock;
  /** The rule for which an honest archiver ignores the block; none where acceptance lets it through. */
  readonly stopped?: string;
  readonly seen: string | null;
  /** What shows in the archive of an honest archiver, where that is not nothing. */
  readonly honest?: Results & Pick<Attack, 'seen'>;
}

const speech = async (stage: Stage): Promise<Messages> => [await stage.wide.say(0, 'x', 'y')];
const nothing = (): void => undefined;

/**
 * The attack by a chainer alone, whose block an honest archiver judges first, and the same together with the log key, which attests anything. Where
 * acceptance lets the block through, the log key adds nothing.
 */
export function byChainer({ name, messages = speech, spoil = nothing, options, stopped, honest, ...verdict }: ForgedStep): Attack[] {
  const play = async (stage: Stage): Promise<void> => stage.block(await messages(stage), spoil, options?.(stage));
  if (stopped === undefined) return [{ name, keys: ['chainer'], play, ...verdict }];
  return [
    { name, keys: ['chainer'], play, stopped: [stopped], ...(honest ?? { seen: null }) },
    { name: `${name}-attested`, keys: ['chainer', 'log'], play, ...verdict },
  ];
}

const byNumbers = new Intl.Collator('en', { numeric: true });

/** The names that fit, sorted by the numbers in them; at least one. */
export function namesOf(map: ReadonlyMap<string, Uint8Array>, pattern: RegExp): string[] {
  const names = [...map.keys()].filter((name) => pattern.test(name)).toSorted(byNumbers.compare);
  if (names.length === 0) throw new Error(`the archive has no object ${pattern}`);
  return names;
}

/** The last name that fits. */
export function nameOf(map: ReadonlyMap<string, Uint8Array>, pattern: RegExp): string {
  return required(namesOf(map, pattern).at(-1));
}

/** The notes at the ends of a shard's segments: the COSE signatures beside them are not among them. */
export function keptNotes(map: ReadonlyMap<string, Uint8Array>, shard: number): string[] {
  return namesOf(map, new RegExp(`^logs/${shard}/checkpoints/\\d+$`));
}

/** Deletes what fits. */
export function without(...patterns: readonly RegExp[]): Alter {
  return (map) => {
    for (const name of patterns.flatMap((pattern) => namesOf(map, pattern))) map.delete(name);
  };
}

/** Changes the bytes of the last object that fits. */
export function changed(pattern: RegExp, change: (bytes: Uint8Array, stage: Stage) => Uint8Array | Promise<Uint8Array>): Alter {
  return async (map, stage) => {
    const name = nameOf(map, pattern);
    map.set(name, await change(required(map.get(name)), stage));
  };
}

/** Adds an object. */
export function planted(name: string, bytes: Uint8Array): Alter {
  return (map) => {
    map.set(name, bytes);
  };
}

/** Lets the contents of two objects change places; each pattern fits one. */
export function swapped(one: RegExp, other: RegExp): Alter {
  return (map) => {
    const [a, b] = [nameOf(map, one), nameOf(map, other)];
    const [first, second] = [required(map.get(a)), required(map.get(b))];
    map.set(a, second).set(b, first);
  };
}

/** Changes the payload of an envelope and signs it again. */
export async function resigned(
  bytes: Uint8Array,
  type: PayloadType,
  signers: readonly Signer[],
  change: (payload: Uint8Array) => Uint8Array = (payload) => payload,
): Promise<Uint8Array> {
  return encodeEnvelope(await signEnvelope(type, change(decodeEnvelope(bytes, type).payload), signers));
}
