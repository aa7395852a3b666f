import { expect } from '@jest/globals';
import { sha256 } from '#crypto';
import { toHex } from '../../core/base/bytes.ts';
import type { DataRef, Event } from '../../core/formats/event.ts';
import { attribute, bytesOfText, type GitRepository } from './git-repository.ts';

const DIFF = ['diff-tree', '-r', '-z', '--raw', '--no-abbrev', '--no-renames', '--no-commit-id'];

/** Compares events of whole commits with git's own answers, asked one by one: commits, changes with modes, blobs, times, messages. */
export function expectAsGit(repository: GitRepository, events: readonly Event[]): void {
  const ask = (...args: string[]): Buffer => repository.bytes(['--no-replace-objects', ...args]);
  const firsts = events.filter((event) => attribute(event, 'part')?.startsWith('1/') ?? true);
  const hashes = firsts.map((event) => attribute(event, 'git.commit') as string);
  expect(hashes.toSorted()).toEqual(ask('rev-list', 'HEAD').toString().trim().split('\n').toSorted());
  expect(String(hashes.length)).toBe(ask('rev-list', '--count', 'HEAD').toString().trim());
  const blobs = new Map<string, string>();
  for (const [i, hash] of hashes.entries()) {
    const first = firsts[i] as Event;
    const object = ask('cat-file', 'commit', hash);
    const parents = ask('rev-list', '--parents', '-1', hash).toString().trim().split(' ').slice(1);
    const raw = parents[0] === undefined ? ask(...DIFF, '--root', hash) : ask(...DIFF, parents[0], hash);
    const said = Object.fromEntries(first.attributes.map(({ key, value }) => [key, value]));
    expect(said).toMatchObject({
      'git.commitSha256': toHex(sha256(object)),
      'git.messageSha256': toHex(sha256(object.subarray(object.indexOf('\n\n') + 2))),
      'git.tree': ask('rev-parse', `${hash}^{tree}`).toString().trim(),
      'git.comparedWith': parents[0] ?? 'the empty tree',
      'git.changesSha256': toHex(sha256(raw)),
    });
    expect(first.parents).toHaveLength(parents.length);
    if (said['git.timeUnknown'] === undefined)
      expect(String(first.occurredAt / 1_000_000)).toBe(ask('show', '-s', '--format=%ct', hash).toString().trim());
    const parts = events.filter((event) => attribute(event, 'git.commit') === hash);
    expect(parts.flatMap(listed)).toEqual(asListed(raw));
    expect(said['git.changesCount']).toBe(String(asListed(raw).length));
    for (const { version, digest, size } of parts.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])) {
      if (version === null || version.startsWith('submodule:')) continue;
      const fact = `${digest === null ? '-' : toHex(digest.value)} ${size ?? '-'}`;
      expect([version, blobs.get(version) ?? fact]).toEqual([version, fact]);
      blobs.set(version, fact);
    }
  }
  for (const [id, fact] of blobs) {
    if (fact === '- -') continue;
    const content = ask('cat-file', 'blob', id);
    expect([id, fact]).toEqual([id, `${toHex(sha256(content))} ${content.length}`]);
  }
}

type Listed = readonly [status: string, modeBefore: string, modeAfter: string, before: string, after: string, path: string];

/** The changes that an event states, in git's form. */
function listed(event: Event): Listed[] {
  const inputs = [...event.inputs];
  const outputs = [...event.outputs];
  const changes = (attribute(event, 'git.changes') ?? '').split('\n').filter((line) => line !== '');
  const all = changes.map((line): Listed => {
    const [status = '', one = '', two = one] = line.split(' ');
    const before = status === 'A' ? undefined : inputs.shift();
    const after = status === 'D' ? undefined : outputs.shift();
    if (before !== undefined && after !== undefined) expect(before.name).toBe(after.name);
    const name = bytesOfText((before ?? after)?.name ?? '').toString('hex');
    return [status, before === undefined ? '000000' : one, after === undefined ? '000000' : two, idOf(before), idOf(after), name];
  });
  expect([inputs, outputs]).toEqual([[], []]);
  return all;
}

function idOf(ref: DataRef | undefined): string {
  return ref?.version?.replace('submodule:', '') ?? '';
}

function asListed(raw: Buffer): Listed[] {
  const tokens: Buffer[] = [];
  for (let from = 0; from < raw.length; ) {
    const end = raw.indexOf(0, from);
    tokens.push(raw.subarray(from, end));
    from = end + 1;
  }
  const all: Listed[] = [];
  for (let i = 0; i < tokens.length; i += 2) {
    const [modeBefore = '', modeAfter = '', before = '', after = '', status = ''] = (tokens[i] as Buffer)
      .toString('latin1')
      .slice(1)
      .split(' ');
    const id = (mode: string, value: string): string => (mode === '000000' ? '' : value);
    all.push([status, modeBefore, modeAfter, id(modeBefore, before), id(modeAfter, after), (tokens[i + 1] as Buffer).toString('hex')]);
  }
  return all;
}
