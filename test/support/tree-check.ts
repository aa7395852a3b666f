import { equal } from '../../core/base/bytes.ts';
import { parseCheckpoint } from '../../core/keys/checkpoint.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { openNote } from '../../core/keys/note.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { EMPTY_FRONTIER, extendFrontier, frontierRoot } from '../../core/tree/frontier.ts';
import { leafHash } from '../../core/tree/hash.ts';
import { decodeBundle, entriesPath, TILE_WIDTH, tilePath, tilesOf } from '../../core/tree/tile.ts';
import type { MemoryObjectStore } from './memory.ts';

/** Size and root of a stored note of the log key, or undefined where there is none. */
export function readNote(store: MemoryObjectStore, key: string, log: Signer): { size: number; root: Uint8Array } | undefined {
  const bytes = store.objects.get(key);
  if (bytes === undefined) return undefined;
  const { text, verified } = openNote(new TextDecoder().decode(bytes), [parseVerifierKey(log.verifierKey)]);
  if (verified.length !== 1) throw new Error(`${key} is not signed`);
  return parseCheckpoint(text);
}

/** Throws unless the store holds, for the note at `key`, all bundles and tiles, and their leaves give its root. The leaves. */
export function checkTree(store: MemoryObjectStore, folder: string, key: string, log: Signer): Uint8Array[] {
  const note = readNote(store, key, log);
  if (note === undefined) return [];
  const need = (path: string): Uint8Array => {
    const bytes = store.objects.get(`${folder}/${path}`);
    if (bytes === undefined) throw new Error(`${path} is missing at size ${note.size}`);
    return bytes;
  };
  const leaves: Uint8Array[] = [];
  while (leaves.length < note.size) {
    const n = leaves.length / TILE_WIDTH;
    leaves.push(...decodeBundle(need(entriesPath(n, Math.min(TILE_WIDTH, note.size - leaves.length)))));
  }
  for (const { level, n, width } of tilesOf(note.size)) need(tilePath(level, n, width));
  if (!equal(frontierRoot(extendFrontier(EMPTY_FRONTIER, leaves.map(leafHash))), note.root))
    throw new Error(`the leaves do not give ${key}`);
  return leaves;
}
