import { type BigIntStats, constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { sha256Stream } from '#crypto';
import type { DataRef } from '../core/formats/event.ts';
import { type FoundFile, MAX_FILES, walk } from './files.ts';
import { filesOf, type SearchPlace } from './run-patterns.ts';

/** Most files that changed without being declared. */
export const MAX_UNDECLARED = 10_000;
/** Linux stamps files with the time of its last tick, which may be this long before the command's start. */
const TICK_MS = 10;
const READ_BYTES = 256 * 1024;

/** Files of one side of a run, and what the list of them does not say. */
export interface Side {
  readonly refs: DataRef[];
  /** Files that were found and are not listed, because there are too many. */
  leftOut: number;
}

/** What became of files, by their names; and patterns that named no file. */
export interface Observations {
  readonly unmatched: Set<string>;
  readonly unreadable: Set<string>;
  readonly changedWhileRead: Set<string>;
  readonly unchanged: Set<string>;
  readonly deleted: Set<string>;
}

/** State of a file by which a change shows. */
type Stamp = string;

/** The files of a run before the command started. */
export interface FilesBefore {
  readonly inputs: Side;
  /** Declared files that were there, by path: inputs, and outputs with their state. */
  readonly inputPaths: ReadonlyMap<string, FoundFile>;
  readonly outputStamps: ReadonlyMap<string, { readonly file: FoundFile; readonly stamp: Stamp }>;
  /** Patterns of outputs that named a file. */
  readonly matched: ReadonlySet<string>;
}

export function newObservations(): Observations {
  return { unmatched: new Set(), unreadable: new Set(), changedWhileRead: new Set(), unchanged: new Set(), deleted: new Set() };
}

/** Reads the declared inputs, and looks at the declared outputs that are there already. */
export async function filesBefore(
  patterns: { readonly inputs: readonly string[]; readonly outputs: readonly string[] },
  place: SearchPlace,
  seen: Observations,
): Promise<FilesBefore> {
  const inputs: Side = { refs: [], leftOut: 0 };
  const inputPaths = new Map<string, FoundFile>();
  for (const pattern of patterns.inputs) {
    let found = false;
    for await (const file of filesOf(pattern, place)) {
      found = true;
      if (inputPaths.has(keyOf(file))) continue;
      if (inputs.refs.length >= MAX_FILES) inputs.leftOut++;
      else {
        inputPaths.set(keyOf(file), file);
        inputs.refs.push(await readFile(file, seen));
      }
    }
    if (!found) seen.unmatched.add(pattern);
  }
  const outputStamps = new Map<string, { file: FoundFile; stamp: Stamp }>();
  const matched = new Set<string>();
  for (const pattern of patterns.outputs)
    for await (const file of filesOf(pattern, place)) {
      matched.add(pattern);
      if (outputStamps.size < MAX_FILES) outputStamps.set(keyOf(file), { file, stamp: await stampOf(file) });
    }
  return { inputs, inputPaths, outputStamps, matched };
}

/** Declared outputs, and undeclared files below the folder that changed since the command's start. Also names declared files that are gone. */
export async function filesAfter(
  patterns: { readonly outputs: readonly string[] },
  place: SearchPlace,
  run: { readonly before: FilesBefore; readonly startedAt: number; readonly seen: Observations },
): Promise<Side> {
  const { before, startedAt, seen } = run;
  const side: Side = { refs: [], leftOut: 0 };
  const listed = new Set<string>();
  const list = async (file: FoundFile, most: number): Promise<void> => {
    listed.add(keyOf(file));
    if (side.refs.length >= most) side.leftOut++;
    else side.refs.push(await readFile(file, seen));
  };
  for (const pattern of patterns.outputs) {
    let found = before.matched.has(pattern);
    for await (const file of filesOf(pattern, place)) {
      found = true;
      if (listed.has(keyOf(file))) continue;
      await list(file, MAX_FILES);
      if (before.outputStamps.get(keyOf(file))?.stamp === (await stampOf(file))) seen.unchanged.add(file.name);
    }
    if (!found) seen.unmatched.add(pattern);
  }
  const declared = side.refs.length;
  for await (const file of walk(place.folder, place.except))
    if (!listed.has(keyOf(file)) && (await changedSince(file, startedAt - TICK_MS)))
      await list(file, Math.min(declared + MAX_UNDECLARED, MAX_FILES));
  const known = [...before.inputPaths.values(), ...[...before.outputStamps.values()].map(({ file }) => file)];
  for (const file of new Map(known.map((each) => [keyOf(each), each])).values())
    if ((await stampOf(file)) === '') seen.deleted.add(file.name);
  return side;
}

/** Paths are bytes. */
function keyOf({ path }: FoundFile): string {
  return path.toString('latin1');
}

async function changedSince({ path }: FoundFile, ms: number): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  return there !== undefined && Math.max(there.mtimeMs, there.ctimeMs) >= ms;
}

/** Empty if there is no file. */
async function stampOf({ path }: FoundFile): Promise<Stamp> {
  const there = await stat(path, { bigint: true }).catch(() => undefined);
  return there === undefined ? '' : stampText(there);
}

function stampText({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): Stamp {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

/** A file as data. If it cannot be read, or changed meanwhile, it has no digest: that of a mixture would be a wrong statement. */
async function readFile(file: FoundFile, seen: Observations): Promise<DataRef> {
  const bare: DataRef = { namespace: 'file', name: file.name, version: null, digest: null, size: null, mediaType: null };
  try {
    // A file that was replaced by a pipe must not make this wait.
    const handle = await open(file.path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const before = await handle.stat({ bigint: true });
      if (!before.isFile()) throw new Error('not a file');
      const hash = sha256Stream();
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      let size = 0;
      for (let read = -1; read !== 0; ) {
        ({ bytesRead: read } = await handle.read(buffer, 0, buffer.length, null));
        hash.update(buffer.subarray(0, read));
        size += read;
      }
      const after = stampText(await handle.stat({ bigint: true }));
      if (after === stampText(before) && after === (await stampOf(file)))
        return { ...bare, digest: { algorithm: 'sha256', value: hash.digest() }, size };
      seen.changedWhileRead.add(file.name);
    } finally {
      await handle.close();
    }
  } catch {
    seen.unreadable.add(file.name);
  }
  return bare;
}
