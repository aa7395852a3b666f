import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { globMatcher, runCommand } from '../../../collector/run.ts';
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
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-run-'));
  events = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a command is recorded with what it read and wrote, and its exit code passed on', async () => {
  writeFileSync(join(folder, 'in.csv'), '1');
  const result = await runCommand(async () => sink, {
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
  expect(await runCommand(async () => sink, { ...options, command: ['/nowhere/at-all'] })).toMatchObject({
    exitCode: 127,
    started: false,
    event: undefined,
  });
});

test('a command with too many bytes of arguments is refused by the system, and that is its exit code', async () => {
  const options = { folder, inputs: [], outputs: [], env: process.env };
  const command = ['true', 'x'.repeat(10_000_000)] as const;
  expect(await runCommand(async () => sink, { ...options, command })).toMatchObject({ exitCode: 126, started: false, event: undefined });
});

test('a command that a signal ended has 128 and the number of the signal', async () => {
  const options = { folder, inputs: [], outputs: [], env: process.env };
  for (const [signal, number] of [
    ['KILL', 9],
    ['USR1', 10],
    ['SEGV', 11],
  ] as const) {
    const command = ['sh', '-c', `kill -${signal} $$`] as const;
    expect(await runCommand(async () => sink, { ...options, command })).toMatchObject({ exitCode: 128 + number, failure: undefined });
  }
});

test('files that changed meanwhile are outputs, up to 10,000 and in as many events as it takes; declared ones are outputs in any case', async () => {
  mkdirSync(join(folder, 'many'));
  writeFileSync(join(folder, 'untouched.csv'), '1');
  writeFileSync(join(folder, 'z-declared.csv'), '1');
  // Long enough ago for every clock.
  const touch = ['touch', '-d', '2001-01-01', 'untouched.csv', 'z-declared.csv'];
  await runCommand(async () => sink, { folder, inputs: [], outputs: [], env: process.env, command: touch as [string, ...string[]] });
  await new Promise((resolve) => void setTimeout(resolve, 0));
  events = [];
  const script = `const fs = require('fs'); for (let i = 0; i < 10100; i++) fs.writeFileSync('many/file-' + String(i).padStart(5, '0'), '')`;
  await runCommand(async () => sink, { folder, inputs: [], outputs: ['z-*.csv'], env: {}, command: [process.execPath, '-e', script] });
  const names = events.flatMap(({ outputs }) => outputs.map(({ name }) => name));
  expect(events.length).toBeGreaterThan(1);
  expect(names.filter((name) => name.startsWith('many/')).length).toBe(10_000);
  expect(names).toContain('z-declared.csv');
  for (const part of events.slice(1)) expect(part.parents.map(({ id }) => id)).toEqual([events[0]?.id]);
}, 60_000);

test('arguments are recorded only where the caller says so, names of a program as far as a stream can have them', async () => {
  const options = { folder, inputs: [], outputs: [], env: {} };
  await runCommand(async () => sink, { ...options, command: ['/bin/echo', 'token=hunter2'] });
  expect(JSON.stringify(events)).not.toContain('hunter2');
  await runCommand(async () => sink, { ...options, command: ['/bin/echo', 'token=hunter2'], withArguments: true });
  expect(events[1]?.attributes).toContainEqual({ key: 'run.arguments', value: '["token=hunter2"]' });
  const odd = join(folder, `a\nb${'c'.repeat(200)}`);
  writeFileSync(odd, '#!/bin/sh\n', { mode: 0o755 });
  expect(await runCommand(async () => sink, { ...options, command: [odd] })).toMatchObject({ exitCode: 0, failure: undefined });
});

test('a folder that is left out is left out', async () => {
  mkdirSync(join(folder, 'data'));
  const command = ['sh', '-c', 'echo 1 > data/own; echo 2 > out'] as const;
  await runCommand(async () => sink, { folder, inputs: [], outputs: [], env: process.env, command, except: join(folder, 'data') });
  expect(events[0]?.outputs.map(({ name }) => name)).toEqual(['out']);
});

test.each([
  ['*.csv', ['a.csv', '.csv', 'a\nb.csv'], ['x/a.csv', 'acsv', 'a.csv2']],
  ['data/**/*.csv', ['data/a.csv', 'data/x/y/a.csv'], ['a.csv', 'data/a.txt']],
  ['./report/**', ['report/a', 'report/b/c'], ['reports/a']],
  ['a?[1].(x)', ['ab[1].(x)'], ['ab1.x', 'a/[1].(x)']],
])('the pattern %s fits what it should and nothing else', (pattern, fitting, others) => {
  const match = globMatcher(pattern);
  expect([fitting.filter(match), others.filter(match)]).toEqual([fitting, []]);
});
