import { homedir, hostname } from 'node:os';
import { basename } from 'node:path';
import { randomBytes } from '#crypto';
import type { Event } from '../core/formats/event.ts';
import { newEventId } from '../core/formats/identity.ts';
import { eventParts, sortedAttributes } from './event-parts.ts';
import { safeName } from './files.ts';
import type { Observations, Side } from './run-files.ts';

const MAX_TEXT_BYTES = 16_384;
/** Bytes of names in one list of the facet: all lists together leave room for the rest of the event. */
const MAX_LIST_BYTES = 8 * 1024;
/** The facet in which a run says what became of its files (docs/getting-started.md). */
const FACET = { name: 'run.files', schemaUrl: 'urn:lineproof:facet:run.files:1' };

/** What is known of a run when it has ended. */
export interface RunRecord {
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
  readonly withArguments: boolean;
  readonly environment: readonly string[];
  /** Who ran it, as it may be recorded. */
  readonly user: string | undefined;
  readonly gitCommit: string | undefined;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly exitCode: number;
  readonly signal: string | undefined;
  /** Why the command could not be started. */
  readonly fault: string | undefined;
  readonly inputs: Side;
  readonly outputs: Side;
  readonly seen: Observations;
}

/** The stream of a program's runs. */
export function runStream(command: readonly [string, ...string[]]): string {
  return `run/${safeName(basename(command[0]))}`;
}

/** A run as an event, or as several if it has too many files for one. */
export function runEvents(run: RunRecord): Event[] {
  const stream = runStream(run.command);
  const newId = (): Uint8Array => newEventId(run.startedAt * 1000, randomBytes(10));
  return eventParts(
    {
      id: newId(),
      stream,
      type: 'TRANSFORM',
      importance: 'ESSENTIAL',
      occurredAt: run.startedAt * 1000,
      actor: { id: hostname(), kind: 'JOB', onBehalfOf: run.user ?? null },
      activity: { name: stream.slice('run/'.length), runId: null, version: null, environment: null },
      parents: [],
      trace: null,
      attributes: attributesOf(run),
      facets: facetsOf(run),
    },
    { inputs: run.inputs.refs, outputs: run.outputs.refs, partId: newId },
  );
}

function attributesOf(run: RunRecord): Event['attributes'] {
  const attributes = new Map<string, string | undefined>([
    ['run.command', safeName(basename(run.command[0]))],
    ['run.arguments', run.withArguments ? JSON.stringify(run.command.slice(1)) : undefined],
    ['run.durationMs', String(run.durationMs)],
    ['run.environmentNames', run.environment.toSorted().join(' ')],
    ['run.exitCode', String(run.exitCode)],
    ['run.fault', run.fault],
    ['run.folder', withoutHome(run.folder)],
    ['run.gitCommit', run.gitCommit],
    ['run.signal', run.signal],
    ['run.started', String(run.fault === undefined)],
  ]);
  return sortedAttributes(new Map([...attributes].flatMap(([key, value]) => (value === undefined ? [] : [[key, cut(value)] as const]))));
}

/** A home folder has the name of a person. */
function withoutHome(folder: string): string {
  const home = homedir();
  if (home === '/' || home === '') return folder;
  return folder === home || folder.startsWith(`${home}/`) ? `~${folder.slice(home.length)}` : folder;
}

function facetsOf({ inputs, outputs, seen }: RunRecord): Event['facets'] {
  const lists = Object.entries(seen).flatMap(([name, names]: [string, ReadonlySet<string>]) =>
    names.size === 0 ? [] : [[name, bounded(names)]],
  );
  const sides = Object.entries({ inputs, outputs }).flatMap(([name, { leftOut }]) => (leftOut === 0 ? [] : [[name, leftOut]]));
  const json = { ...Object.fromEntries(lists), ...(sides.length === 0 ? {} : { leftOut: Object.fromEntries(sides) }) };
  return Object.keys(json).length === 0 ? [] : [{ ...FACET, json: JSON.stringify(json) }];
}

/** All of a list are counted, and as many as there is room for are named. */
function bounded(names: ReadonlySet<string>): { readonly count: number; readonly names: readonly string[] } {
  const named: string[] = [];
  let bytes = 0;
  for (const name of names) {
    bytes += Buffer.byteLength(JSON.stringify(name));
    if (bytes > MAX_LIST_BYTES) break;
    named.push(name);
  }
  return { count: names.size, names: named };
}

/** The beginning of a text, in whole characters and within the bytes that one attribute may take here. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= MAX_TEXT_BYTES) return text;
  return `${Buffer.from(text)
    .subarray(0, MAX_TEXT_BYTES)
    .toString('utf8')
    .replace(/\ufffd$/, '')}…`;
}

/** Sentences about files that the lists of the event do not have as one would expect. */
export function describeFiles({ inputs, outputs, seen }: Pick<RunRecord, 'inputs' | 'outputs' | 'seen'>): string[] {
  const told: readonly [ReadonlySet<string>, string][] = [
    [seen.unreadable, 'could not be read and is recorded without digest'],
    [seen.changedWhileRead, 'changed while it was read and is recorded without digest'],
  ];
  const left: readonly [number, string][] = [
    [inputs.leftOut, 'input'],
    [outputs.leftOut, 'output'],
  ];
  return [
    ...[...seen.unmatched].map((pattern) => `${JSON.stringify(pattern)} names no file`),
    ...told.flatMap(([[first, ...more], what]) =>
      first === undefined ? [] : [`${JSON.stringify(first)} ${what}${more.length === 0 ? '' : `; ${more.length} more likewise`}`],
    ),
    ...left.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what} files are counted and not listed: there are too many`])),
  ];
}

/** The side of a command that could not be started. */
export function noFiles(): Side {
  return { refs: [], leftOut: 0 };
}
