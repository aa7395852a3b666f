import { sha256 } from '#crypto';
import { type Manifest, parseManifest } from '../../core/archive/manifest.ts';
import { encodeRetired, type Retired } from '../../core/archive/retired.ts';
import { toHex } from '../../core/base/bytes.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { required } from './rich-archive.ts';

export interface Removal {
  /** The log key that states the removal. */
  readonly signer: Signer;
  /** Hex digest of the policy that allows it. */
  readonly policy: string;
  /** How the names of the removed files end: those of the events, unless another is named. */
  readonly kind?: string;
  readonly change?: (retired: Retired, manifest: Manifest) => Partial<Retired>;
}

/** Removes files of the segment whose manifest has this key, with a statement of it, as an archiver does. */
export async function retireSegment(
  map: Map<string, Uint8Array>,
  key: string,
  { signer, policy, kind = '.events.avro', change = () => ({}) }: Removal,
): Promise<void> {
  const { payload } = decodeEnvelope(required(map.get(key)), 'manifest');
  const manifest = parseManifest(payload);
  const { origin, first, end } = manifest;
  const objects = manifest.objects.filter(({ name }) => name.endsWith(kind));
  for (const { name } of objects) map.delete(`${key.slice(0, key.lastIndexOf('/') + 1)}${name}`);
  const retired: Retired = { origin, first, end, manifest: toHex(sha256(payload)), policy, objects };
  const statement = encodeRetired({ ...retired, ...change(retired, manifest) });
  map.set(key.replace(/manifest\.json$/, 'retired.json'), encodeEnvelope(await signEnvelope('retired', statement, [signer])));
}
