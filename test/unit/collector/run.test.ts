import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type RunOptions, type RunResult, runCommand } from '../../../collector/run.ts';
import { alternativesOf, globMatcher } from '../../../collector/run-patterns.ts';
import type { Event } from '../../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../../core/formats/event-schema.ts';

let folder: string;
let events: Event[];
const sink = {
  record: (event: Event): Uint8Array => {
    EVENT_SCHEMA.encode(event);
    events.push(event);
    return event.id;
  },
  recordDurably: async (event: Event): Promise<Uint8Array> => sink.record(event),
};
const opened = async (): Promise<{ readonly sink: typeof sink; readonly user: string }> => ({ sink, user: 'hmac:ab' });
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-run-'));
  events = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a command is recorded with what it read and wrote, and its exit code passed on', async () => {
  writeFileSync(join(folder, 'in.csv'), '1');
  const result = await runCommand(opened, {
    command: ['sh', '-c', 'cp in.csv out.csv; exit 3'],
    folder,
    inputs: ['*.csv'],
    outputs: [],
    env: { ...process.env, SECRET_TOKEN: 'hunter2' },
  });
  expect(result).toMatchObject({ exitCode: 3, failure: undefined });
  expect(events[0]?.inputs.map(({ name }) => name)).toEqual(['in.csv']);
  expect(events[0]?.outputs.map(({ name }) => name)).toContain('out.csv');
  const recorded = JSON.stringify(events[0]);
  expect([recorded.includes('SECRET_TOKEN'), recorded.includes('hunter2')]).toEqual([true, false]);
});

test('a command keeps its exit code when nothing can be recorded', async () => {
  const broken = (): Promise<never> => Promise.reject(new Error('no spool'));
  const options = { folder, inputs: [], outputs: [], env: process.env };
  expect(await runCommand(broken, { ...options, command: ['sh', '-c', 'exit 5'] })).toMatchObject({ exitCode: 5, event: undefined });
  expect(await runCommand(opened, { ...options, command: ['/nowhere/at-all'] })).toMatchObject({
    exitCode: 127,
    fault: { message: expect.stringContaining('there is no such program') },
    event: events[0]?.id,
  });
  expect(attributesOf()).toMatchObject({ 'run.started': 'false', 'run.exitCode': '127' });
});

test('a command with too many bytes of arguments is refused by the system, and that is its exit code', async () => {
  const options = { folder, inputs: [], outputs: [], env: process.env };
  const command = ['true', 'x'.repeat(10_000_000)] as const;
  expect(await runCommand(opened, { ...options, command })).toMatchObject({ exitCode: 126, failure: undefined });
  expect(attributesOf()).toMatchObject({ 'run.started': 'false', 'run.fault': expect.stringContaining('E2BIG') });
});

test('a command that a signal ended has 128 and the number of the signal', async () => {
  const options = { folder, inputs: [], outputs: [], env: process.env };
  for (const [signal, number] of [
    ['KILL', 9],
    ['USR1', 10],
    ['SEGV', 11],
  ] as const) {
    const command = ['sh', '-c', `kill -${signal} $$`] as const;
    expect(await runCommand(opened, { ...options, command })).toMatchObject({ exitCode: 128 + number, failure: undefined });
  }
});

test('files that changed meanwhile are outputs, up to 10,000 and in as many events as it takes; declared ones are outputs in any case', async () => {
  mkdirSync(join(folder, 'many'));
  writeFileSync(join(folder, 'untouched.csv'), '1');
  writeFileSync(join(folder, 'z-declared.csv'), '1');
  // Long enough ago for every clock.
  const touch = ['touch', '-d', '2001-01-01', 'untouched.csv', 'z-declared.csv'];
  await runCommand(opened, { folder, inputs: [], outputs: [], env: process.env, command: touch as [string, ...string[]] });
  await new Promise((resolve) => void setTimeout(resolve, 0));
  events = [];
  const script = `const fs = require('fs'); for (let i = 0; i < 10100; i++) fs.writeFileSync('many/file-' + String(i).padStart(5, '0'), '')`;
  await runCommand(opened, { folder, inputs: [], outputs: ['z-*.csv'], env: {}, command: [process.execPath, '-e', script] });
  const names = events.flatMap(({ outputs }) => outputs.map(({ name }) => name));
  expect(events.length).toBeGreaterThan(1);
  expect(names.filter((name) => name.startsWith('many/')).length).toBe(10_000);
  expect(names).toContain('z-declared.csv');
  for (const part of events.slice(1)) expect(part.parents.map(({ id }) => id)).toEqual([events[0]?.id]);
}, 60_000);

test('arguments are recorded only where the caller says so, names of a program as far as a stream can have them', async () => {
  const options = { folder, inputs: [], outputs: [], env: {} };
  await runCommand(opened, { ...options, command: ['/bin/echo', 'token=hunter2'] });
  expect(JSON.stringify(events)).not.toContain('hunter2');
  await runCommand(opened, { ...options, command: ['/bin/echo', 'token=hunter2'], withArguments: true });
  expect(events[1]?.attributes).toContainEqual({ key: 'run.arguments', value: '["token=hunter2"]' });
  const odd = join(folder, `a\nb${'c'.repeat(200)}`);
  writeFileSync(odd, '#!/bin/sh\n', { mode: 0o755 });
  expect(await runCommand(opened, { ...options, command: [odd] })).toMatchObject({ exitCode: 0, failure: undefined });
});

test('a folder that is left out is left out', async () => {
  mkdirSync(join(folder, 'data'));
  const command = ['sh', '-c', 'echo 1 > data/own; echo 2 > out'] as const;
  await runCommand(opened, { folder, inputs: [], outputs: [], env: process.env, command, except: join(folder, 'data') });
  expect(events[0]?.outputs.map(({ name }) => name)).toEqual(['out']);
});

test.each([
  ['*.csv', ['a.csv', '.csv', 'a\nb.csv'], ['x/a.csv', 'acsv', 'a.csv2']],
  ['data/**/*.csv', ['data/a.csv', 'data/x/y/a.csv'], ['a.csv', 'data/a.txt']],
  ['./report/**', ['report/a', 'report/b/c'], ['reports/a']],
  ['a?.(x)+|$^', ['ab.(x)+|$^', 'a😀.(x)+|$^'], ['ab.x', 'a/.(x)+|$^']],
  ['part-[0-9a].csv', ['part-0.csv', 'part-a.csv'], ['part-b.csv', 'part-10.csv', 'part-.csv']],
  ['[!a-c]x', ['dx', '-x'], ['ax', 'x', '/x']],
  ['[]-]x', [']x', '-x'], ['ax']],
  ['[z-a]x', ['[z-a]x'], ['zx']],
  ['[]x', ['[]x'], ['x']],
  ['[!]x', ['[!]x'], ['ax']],
  ['a[x', ['a[x'], ['ax']],
  ['[\\^&~|[]', ['\\', '^', '&', '~', '|', '['], ['a']],
])('the pattern %s fits what it should and nothing else', (pattern, fitting, others) => {
  const match = globMatcher(pattern);
  expect([fitting.filter(match), others.filter(match)]).toEqual([fitting, []]);
});

test('braces are alternatives, within others too; without a comma they are literal, and there is an end to them', () => {
  expect(alternativesOf('a.{csv,json}')).toEqual(['a.csv', 'a.json']);
  expect(alternativesOf('{a,b{c,d}}/x')).toEqual(['a/x', 'bc/x', 'bd/x']);
  expect(alternativesOf('{,x}a{b}')).toEqual(['a{b}', 'xa{b}']);
  expect(() => alternativesOf('{a,b}'.repeat(40))).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

function attributesOf(event = events[0]): Record<string, string> {
  return Object.fromEntries((event?.attributes ?? []).map(({ key, value }) => [key, value]));
}

function filesFacet(): unknown {
  return JSON.parse(events[0]?.facets[0]?.json ?? 'null');
}

const named = (refs: readonly { readonly name: string }[] = []): string[] => refs.map(({ name }) => name);

/** Runs a shell script in the folder. */
/** Times of files are those of the system's last tick, so what was written just now counts as changed by the command. */
const TICKS_MS = 40;

async function runScript(script: string, options: Partial<RunOptions> = {}): Promise<RunResult> {
  await new Promise((resolve) => setTimeout(resolve, TICKS_MS));
  return runCommand(opened, { folder, inputs: [], outputs: [], env: process.env, command: ['sh', '-c', script], ...options });
}

describe('declared files', () => {
  let outside: string;
  beforeEach(() => {
    outside = mkdtempSync(join(tmpdir(), 'lineproof-outside-'));
    mkdirSync(join(folder, 'data', 'deep'), { recursive: true });
    writeFileSync(join(folder, 'data', 'a.csv'), 'a');
    writeFileSync(join(folder, 'data', 'deep', 'b.csv'), 'b');
    writeFileSync(join(folder, 'x[1].{y}'), 'x');
    writeFileSync(join(outside, 'o.csv'), 'o');
  });
  afterEach(() => rmSync(outside, { recursive: true, force: true }));

  const inputsOf = async (...inputs: string[]): Promise<string[]> => {
    events = [];
    const { notes } = await runScript('true', { inputs });
    return [...named(events[0]?.inputs), ...notes];
  };

  test('can be named by file, folder, pattern, absolute or parent path, link, and by what a shell made of a pattern', async () => {
    const sibling = relative(folder, outside);
    symlinkSync(outside, join(folder, 'linked'));
    symlinkSync(join(outside, 'o.csv'), join(folder, 'data', 'link.csv'));
    symlinkSync('..', join(folder, 'data', 'deep', 'up'));
    expect(await inputsOf('data/a.csv')).toEqual(['data/a.csv']);
    expect(await inputsOf('./data/a.csv', 'data/../data/a.csv', join(folder, 'data/a.csv'))).toEqual(['data/a.csv']);
    expect(await inputsOf('data')).toEqual(['data/a.csv', 'data/deep/b.csv', 'data/link.csv']);
    expect(await inputsOf('data/')).toEqual(['data/a.csv', 'data/deep/b.csv', 'data/link.csv']);
    expect(await inputsOf('data/*.csv')).toEqual(['data/a.csv', 'data/link.csv']);
    expect(await inputsOf('**/b.csv')).toEqual(['data/deep/b.csv']);
    expect(await inputsOf('data/{a,nothing}.csv', 'data/deep/[ab].csv')).toEqual(['data/a.csv', 'data/deep/b.csv']);
    expect(await inputsOf('x[1].{y}')).toEqual(['x[1].{y}']);
    expect(await inputsOf('linked/*')).toEqual(['linked/o.csv']);
    expect(await inputsOf(`${sibling}/*.csv`)).toEqual([join(outside, 'o.csv')]);
    expect(await inputsOf(join(outside, '*.csv'))).toEqual([join(outside, 'o.csv')]);
  });

  test('are missed by name: the event and the notes tell each pattern that names no file', async () => {
    const { notes } = await runScript('true', { inputs: ['data/*.json', 'data/a.csv'], outputs: ['report/*', '/nowhere/**'] });
    expect(notes).toEqual(['"data/*.json" names no file', '"report/*" names no file', '"/nowhere/**" names no file']);
    expect(filesFacet()).toEqual({ unmatched: { count: 3, names: ['data/*.json', 'report/*', '/nowhere/**'] } });
  });

  test('are never those of the data folder, by whatever way', async () => {
    mkdirSync(join(folder, 'own', 'keys'), { recursive: true });
    writeFileSync(join(folder, 'own', 'keys', 'root.key'), 'secret');
    symlinkSync(join(folder, 'own'), join(folder, 'data', 'own'));
    symlinkSync(join(folder, 'own', 'keys', 'root.key'), join(folder, 'data', 'key.csv'));
    for (const pattern of ['own', 'own/**', 'own/keys/root.key', 'data/own/**', 'data/key.csv', 'data/own/keys'])
      expect([pattern, (await runScript('true', { inputs: [pattern], except: join(folder, 'own') })).notes]).toEqual([
        pattern,
        [`${JSON.stringify(pattern)} names no file`],
      ]);
    expect(events.flatMap(({ inputs }) => inputs)).toEqual([]);
  });

  test('that are deleted, unchanged, or cannot be read are told apart', async () => {
    for (const name of ['kept', 'gone', 'rewritten']) writeFileSync(join(folder, name), name);
    const { notes } = await runScript('rm gone data/a.csv; echo 2 > rewritten; echo 1 > made; mkfifo pipe', {
      inputs: ['data/a.csv'],
      outputs: ['kept', 'gone', 'rewritten', 'made', 'pipe'],
    });
    expect(named(events[0]?.outputs)).toEqual(['kept', 'rewritten', 'made']);
    expect(filesFacet()).toEqual({
      unmatched: { count: 1, names: ['pipe'] },
      unchanged: { count: 1, names: ['kept'] },
      deleted: { count: 2, names: ['data/a.csv', 'gone'] },
    });
    expect(notes).toEqual(['"pipe" names no file']);
  });

  test('that change while they are read have no digest, and the event says so', async () => {
    const large = join(folder, 'large');
    writeFileSync(large, Buffer.alloc(64 * 1024 * 1024));
    const writer = setInterval(() => appendFileSync(large, 'x'), 1);
    try {
      const { notes } = await runScript('true', { inputs: ['large'] });
      expect(notes).toEqual(['"large" changed while it was read and is recorded without digest']);
    } finally {
      clearInterval(writer);
    }
    expect(events[0]?.inputs).toEqual([expect.objectContaining({ name: 'large', digest: null, size: null })]);
    expect(filesFacet()).toMatchObject({ changedWhileRead: { count: 1, names: ['large'] } });
  });
});

test('a run says where, by whom, of which commit and how it ended', async () => {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@b', ...args], { cwd: folder, encoding: 'utf8' });
  await runScript('true');
  expect(attributesOf()['run.gitCommit']).toBeUndefined();
  git('init', '-q');
  git('commit', '-q', '--allow-empty', '-m', 'first');
  events = [];
  await runScript('kill -TERM $$');
  expect(attributesOf()).toMatchObject({
    'run.folder': realpathSync(folder),
    'run.gitCommit': git('rev-parse', 'HEAD').trim(),
    'run.exitCode': '143',
    'run.signal': 'SIGTERM',
    'run.started': 'true',
  });
  expect(events[0]?.actor).toMatchObject({ kind: 'JOB', onBehalfOf: 'hmac:ab' });
});
