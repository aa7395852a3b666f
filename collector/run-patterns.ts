import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LineproofError } from '../core/base/errors.ts';
import { type FoundFile, IGNORED_FOLDERS, pathText } from './files.ts';

const WILD = /[*?[{]/;
/** More alternatives of one pattern than a person writes. */
const MAX_ALTERNATIVES = 1000;
const SLASH = Buffer.from('/');

/** Where patterns are looked for. */
export interface SearchPlace {
  /** Relative patterns begin here. */
  readonly folder: string;
  /** Folder whose files are never read, as a real path. */
  readonly except: string | undefined;
}

/**
 * The regular files that a pattern names. A pattern that is the name of a file is that file, and the name of a folder means all files below it. Otherwise
 * `*` and `?` stay within a name, `**` spans folders, `[a-z]` and `[!a-z]` are one character, `{a,b}` is one of several. Links are followed; a
 * folder is read once, however many links lead to it. Files below the folder have their path from there as name, all others their absolute path.
 */
export async function* filesOf(pattern: string, place: SearchPlace): AsyncGenerator<FoundFile> {
  const whole = resolve(place.folder, pattern);
  const there = await stat(whole).catch(() => undefined);
  if (there?.isFile() === true) yield* readable(Buffer.from(whole), place);
  else if (there?.isDirectory() === true) yield* walkLinks(Buffer.from(whole), () => true, place);
  else for (const alternative of alternativesOf(pattern)) yield* filesOfGlob(alternative, place);
}

async function* filesOfGlob(pattern: string, place: SearchPlace): AsyncGenerator<FoundFile> {
  const steps = pattern.split('/');
  const wild = steps.findIndex((step) => WILD.test(step));
  const base = resolve(place.folder, steps.slice(0, wild < 0 ? steps.length : wild).join('/') || (pattern.startsWith('/') ? '/' : '.'));
  const there = await stat(base).catch(() => undefined);
  if (wild < 0 && there?.isFile() === true) yield* readable(Buffer.from(base), place);
  else if (wild >= 0 && there?.isDirectory() === true) yield* walkLinks(Buffer.from(base), globMatcher(steps.slice(wild).join('/')), place);
}

/** The file, unless it is below the folder that is never read, by whatever link. */
async function* readable(path: Buffer, place: SearchPlace): AsyncGenerator<FoundFile> {
  const real = place.except === undefined ? undefined : await realpath(path).catch(() => undefined);
  if (real?.startsWith(`${place.except}/`) !== true) yield named(path, place);
}

function named(path: Buffer, { folder }: SearchPlace): FoundFile {
  const start = Buffer.from(folder === '/' ? '/' : `${folder}/`);
  return { name: pathText(path.subarray(0, start.length).equals(start) ? path.subarray(start.length) : path), path };
}

/** Files below `root` whose path from there fits, in the order of their bytes. */
async function* walkLinks(root: Buffer, fits: (below: string) => boolean, place: SearchPlace): AsyncGenerator<FoundFile> {
  const seen = new Set<string>();
  async function* walk(folder: Buffer, below: Buffer): AsyncGenerator<FoundFile> {
    const real = await realpath(folder, 'buffer').catch(() => undefined);
    if (
      real === undefined ||
      real.toString() === place.except ||
      real.toString().startsWith(`${place.except}/`) ||
      seen.has(real.toString('latin1'))
    )
      return;
    seen.add(real.toString('latin1'));
    const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' }).catch(() => []);
    for (const entry of entries.toSorted((a, b) => Buffer.compare(a.name, b.name))) {
      const path = Buffer.concat([folder, SLASH, entry.name]);
      const relative = below.length === 0 ? entry.name : Buffer.concat([below, SLASH, entry.name]);
      const kind = await kindOf(entry, path);
      if (kind === 'file' && fits(pathText(relative))) yield* readable(path, place);
      else if (kind === 'folder' && !IGNORED_FOLDERS.has(entry.name.toString())) yield* walk(path, relative);
    }
  }
  yield* walk(root, Buffer.alloc(0));
}

async function kindOf(entry: Dirent<Buffer>, path: Buffer): Promise<'file' | 'folder' | 'other'> {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  if (!entry.isSymbolicLink()) return 'other';
  const target = await stat(path).catch(() => undefined);
  if (target?.isFile() === true) return 'file';
  return target?.isDirectory() === true ? 'folder' : 'other';
}

/** The patterns that a pattern with braces means: `a.{b,c}` is `a.b` and `a.c`. Braces without a comma are literal. Throws USAGE for too many. */
export function alternativesOf(pattern: string): string[] {
  const done = new Set<string>();
  const open = [pattern];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [found, list = ''] = /\{([^{}]*,[^{}]*)\}/.exec(next) ?? [];
    if (found === undefined) done.add(next);
    else {
      const at = next.indexOf(found);
      for (const item of list.split(',').toReversed()) open.push(next.slice(0, at) + item + next.slice(at + found.length));
    }
    if (done.size + open.length > MAX_ALTERNATIVES)
      throw new LineproofError(
        'USAGE',
        `cannot use pattern ${JSON.stringify(pattern)}: its braces have more than ${MAX_ALTERNATIVES} alternatives`,
      );
  }
  return [...done];
}

/** Whether a path fits a pattern without alternatives. Characters that have no meaning in it are literal, and so is a bracket that is not closed. */
export function globMatcher(pattern: string): (path: string) => boolean {
  const source = pattern.replace(/^\.\//, '').replaceAll(/\*\*\/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|[.+^${}()|[\]\\]/g, (part) => {
    const wild = { '**/': '(?:[^/]+/)*', '**': '.*', '*': '[^/]*', '?': '[^/]' }[part];
    return wild ?? (part.length === 1 ? `\\${part}` : bracket(part));
  });
  const expression = new RegExp(`^${source}$`, 'su');
  return (path) => expression.test(path);
}

/** `[a-z]` as a regular expression; literal if it holds nothing, or a range that runs backwards. */
function bracket(part: string): string {
  const isNot = part[1] === '!';
  const inside = part.slice(isNot ? 2 : 1, -1).replaceAll(/[\\\]^[]/g, '\\$&');
  const set = isNot ? `[^${inside}/]` : `[${inside}]`;
  return inside !== '' && isExpression(set) ? set : part.replaceAll(/[.+^${}()|[\]\\*?]/g, '\\$&');
}

function isExpression(source: string): boolean {
  try {
    return new RegExp(source, 'su').source !== '';
  } catch {
    return false;
  }
}
