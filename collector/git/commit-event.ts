import { hmacSha256, sha256 } from '#crypto';
import { toHex, utf8 } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import type { Actor, DataRef, Event, EventRef } from '../../core/formats/event.ts';
import { idFromKey } from '../../core/formats/identity.ts';
import { byteText, isEscaped } from '../byte-text.ts';
import { sortedAttributes } from '../event-parts.ts';
import { pathText } from '../files.ts';
import type { BlobDigests } from './blobs.ts';
import type { Change, Changes, Side } from './changes.ts';
import type { GitOptions } from './collection.ts';
import { type CommitObject, commitTime, type Ident, messageText, timeText, unreadableParts } from './commit-object.ts';

/** Each takes as much as the longest name of a stream, and all of them must leave room in an event. */
const MAX_PARENTS = 200;
const MAX_PERSON_BYTES = 1024;
const MAX_ENCODING_BYTES = 128;
/** Upper bound of an event without parents, attributes and data, and of the attribute `part`. */
const FIXED_BYTES = 4096;
const PER_REF_BYTES = 64;

/** A commit with all that is recorded of it. */
export interface CommitFacts {
  readonly hash: string;
  readonly object: CommitObject;
  /** Undefined where a shallow clone was cut: what the commit changed cannot be said without its parents. */
  readonly changes: Changes | undefined;
  readonly blobs: BlobDigests;
}

/** Objects that the repository does not have, sorted, each once. */
export function missingObjects({ changes, blobs }: CommitFacts): string[] {
  const ids = (changes?.listed ?? [])
    .flatMap(({ before, after }) => [before, after])
    .flatMap((side) => (side === undefined ? [] : [side.id]));
  return [...new Set(ids.filter((id) => blobs.get(id) === 'missing'))].toSorted();
}

/**
 * The events of one commit: one, or as many as its changes need, each with its share of them. docs/git.md defines every field. The same repository gives the same bytes,
 * so that a repeat is a duplicate. What depends on the clone has another id than the whole commit, so that recording the whole later is not a conflict.
 */
export function commitEvents(stream: string, facts: CommitFacts, options: GitOptions): Event[] {
  const { hash, object, changes } = facts;
  const key = `${hash}${lackKey(facts)}`;
  const time = commitTime(object);
  const names = new Names();
  const attributes = commitAttributes(facts, names, options);
  const parents: readonly EventRef[] = object.parents
    .slice(0, MAX_PARENTS)
    .map((parent) => ({ stream, id: idFromKey(stream, parent), digest: null, origin: null }));
  const first: Event = {
    id: idFromKey(stream, key),
    stream,
    type: changes === undefined ? 'OTHER' : 'TRANSFORM',
    importance: 'ESSENTIAL',
    occurredAt: 'micros' in time ? time.micros : 0,
    actor: actorOf(object.committer, names, options),
    activity: { name: 'git commit', runId: null, version: hash, environment: null },
    inputs: [],
    outputs: [],
    parents,
    trace: null,
    attributes: [],
    facets: [],
  };
  const parts = splitChanges(
    stream,
    facts,
    LIMITS.eventBytes - FIXED_BYTES - attributeBytes(attributes) - parents.length * (Buffer.byteLength(stream) + PER_REF_BYTES),
  );
  return parts.map(({ lines, inputs, outputs, escaped }, i) => {
    const own = new Map(attributes);
    if (changes !== undefined) own.set('git.changes', lines.join('\n'));
    if (parts.length > 1) own.set('part', `${i + 1}/${parts.length}`);
    const marks = [...names.escaped, ...(escaped ? ['paths'] : [])];
    if (marks.length > 0) own.set('git.escaped', marks.toSorted().join(' '));
    return {
      ...first,
      id: i === 0 ? first.id : idFromKey(stream, `${key}/${i + 1}`),
      parents: i === 0 ? parents : [{ stream, id: first.id, digest: null, origin: null }],
      inputs,
      outputs,
      attributes: sortedAttributes(own),
    };
  });
}

/** What makes the event of a commit another one than that of the whole commit. */
function lackKey(facts: CommitFacts): string {
  if (facts.changes === undefined) return '!cut';
  const missing = missingObjects(facts);
  return missing.length === 0 ? '' : `!${toHex(sha256(utf8(missing.join('\n'))))}`;
}

/** Texts of bytes, with the names of those that are not the bytes' UTF-8. */
class Names {
  readonly escaped: string[] = [];

  text(name: string, bytes: Uint8Array, maxBytes: number): string {
    const text = byteText(bytes, { controls: true, maxBytes });
    if (isEscaped(bytes, text)) this.escaped.push(name);
    return text;
  }
}

function commitAttributes(facts: CommitFacts, names: Names, options: GitOptions): Map<string, string> {
  const { hash, object, changes } = facts;
  const { author, committer, message } = object;
  const time = commitTime(object);
  const attributes = new Map([
    ['git.commit', hash],
    ['git.commitSha256', toHex(object.digest)],
    ['git.comparedWith', changes === undefined ? 'nothing: a shallow clone was cut here' : (object.parents[0] ?? 'the empty tree')],
    ['git.messageBytes', String(message.size)],
    ['git.messageSha256', toHex(message.digest)],
    ['git.tree', object.tree],
  ]);
  const set = (name: string, value: string | undefined): void => void (value !== undefined && attributes.set(name, value));
  set('git.author', author && personText('author', author, names, options));
  set('git.authorTime', author && timeText(author));
  set('git.committerTime', committer && timeText(committer));
  set('git.encoding', object.encoding && names.text('encoding', object.encoding, MAX_ENCODING_BYTES));
  set('git.timeUnknown', 'unknown' in time ? time.unknown : undefined);
  set('git.unreadable', unreadableParts(object).join(' ') || undefined);
  set('git.parentsNotListed', counted(object.parents.length - MAX_PARENTS));
  if (options.messages === true) {
    const { text, cut, escaped } = messageText(object);
    attributes.set(cut ? 'git.messageStart' : 'git.message', text);
    if (escaped) names.escaped.push('message');
  }
  if (changes !== undefined) changeAttributes(set, changes, facts);
  return attributes;
}

function changeAttributes(set: (name: string, value: string | undefined) => void, changes: Changes, facts: CommitFacts): void {
  const sides = changes.listed.flatMap(({ before, after }) => [before, after]).filter((side) => side !== undefined);
  const notBlobs = new Set(sides.filter(({ id }) => facts.blobs.get(id) === 'not a blob').map(({ id }) => id));
  set('git.changesCount', String(changes.count));
  set('git.changesSha256', toHex(changes.digest));
  set('git.changesNotListed', counted(changes.count - changes.listed.length));
  set('git.objectsMissing', counted(missingObjects(facts).length));
  set('git.objectsNotBlobs', counted(notBlobs.size));
}

function counted(count: number): string | undefined {
  return count > 0 ? String(count) : undefined;
}

function actorOf(committer: Ident | undefined, names: Names, options: GitOptions): Actor {
  if (committer === undefined) return { id: 'unknown', kind: 'UNKNOWN', onBehalfOf: null };
  return { id: personText('committer', committer, names, options), kind: 'PERSON', onBehalfOf: null };
}

/** A person as the settings demand: hashed with the key, or in clear without characters that could disturb a terminal. */
function personText(name: string, { person }: Ident, names: Names, { actors, actorKey }: GitOptions): string {
  if (actors === 'plain') return names.text(name, person, MAX_PERSON_BYTES);
  return `hmac:${toHex(hmacSha256(actorKey, person)).slice(0, 32)}`;
}

interface Part {
  readonly lines: string[];
  readonly inputs: DataRef[];
  readonly outputs: DataRef[];
  escaped: boolean;
}

/** Changes in shares of at most `room` bytes; both sides of a change are in one share. */
function splitChanges(stream: string, { changes, blobs }: CommitFacts, room: number): Part[] {
  const newPart = (): Part => ({ lines: [], inputs: [], outputs: [], escaped: false });
  let part = newPart();
  const parts = [part];
  let bytes = 0;
  for (const change of changes?.listed ?? []) {
    const name = pathText(change.path);
    const refs = [change.before, change.after].map((side) => side && refOf(stream, name, side, blobs));
    const line = changeLine(change);
    const cost = refs.reduce((sum, ref) => sum + (ref === undefined ? 0 : refBytes(ref)), line.length + 1);
    if (bytes + cost > room && bytes > 0) {
      part = newPart();
      parts.push(part);
      bytes = 0;
    }
    bytes += cost;
    const [before, after] = refs;
    if (before !== undefined) part.inputs.push(before);
    if (after !== undefined) part.outputs.push(after);
    part.lines.push(line);
    part.escaped ||= isEscaped(change.path, name);
  }
  return parts;
}

/** `A 100644`, `D 100644`, `M 100644 100755`: git's status, then the mode before and the mode after, as far as there is one. */
function changeLine({ status, before, after }: Change): string {
  return [status, before?.mode, after?.mode].filter((each) => each !== undefined).join(' ');
}

function refOf(stream: string, name: string, { mode, id }: Side, blobs: BlobDigests): DataRef {
  const blob = mode === '160000' ? undefined : blobs.get(id);
  const content = typeof blob === 'object' ? blob : undefined;
  return {
    namespace: stream,
    name,
    version: mode === '160000' ? `submodule:${id}` : id,
    digest: content === undefined ? null : { algorithm: 'sha256', value: content.digest },
    size: content?.size ?? null,
    mediaType: null,
  };
}

function refBytes({ namespace, name, version }: DataRef): number {
  return PER_REF_BYTES + Buffer.byteLength(namespace) + Buffer.byteLength(name) + (version?.length ?? 0) + 32;
}

function attributeBytes(attributes: ReadonlyMap<string, string>): number {
  let bytes = 0;
  for (const [key, value] of attributes) bytes += key.length + Buffer.byteLength(value) + 8;
  return bytes;
}
