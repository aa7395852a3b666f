import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CommandResult, lineproof, MAIN, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 15_000;
const folder = temporaryFolder('emit');
const data = join(folder.path, 'data');
const line = (more: object = {}): string => JSON.stringify({ stream: 's', type: 'CREATE', actor: 'a', ...more });
afterAll(() => folder.release());

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
}

const emit = (path: string, ...options: string[]): Promise<CommandResult> =>
  lineproof(['emit', path, '--data', data, '--segment-max-age-ms', '1000', ...options]);

interface Archived {
  readonly stream: string;
  readonly id: string;
  readonly occurredAt: number;
}

async function archived(from = data): Promise<{ readonly events: Archived[]; readonly conflicts: number }> {
  const start = await lineproof(['start', '--until-idle', '--verify', '--json', '--data', from, '--segment-max-age-ms', '1000']);
  const { verdict } = JSON.parse(start.stdout);
  expect(verdict).toMatchObject({ ok: true, properties: { COMPLETE: { result: 'OK' } } });
  const { stdout } = await lineproof(['query', join(from, 'archive'), '--json']);
  const lines = stdout.split('\n').filter((text) => text !== '');
  return { events: lines.map((text) => JSON.parse(text).event), conflicts: verdict.properties.UNIQUE.counts.conflicts };
}

describe('lineproof emit', () => {
  beforeAll(async () => {
    const { code, stderr } = await emit(file('first.jsonl', line({ stream: 'first' })));
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^lineproof: first start: made keys and a policy in .*root\.key safe\n$/)]);
  }, TIMEOUT_MS);

  test(
    'records every line that fits, names the others by line and field, and ends with 1',
    async () => {
      const bad: readonly [string | Uint8Array, string][] = [
        ['not json', 'a value must begin there'],
        [line({ idempotencyKey: 7, occurredAt: '2026-01-31T10:00:00Z' }), 'idempotencyKey is the number 7; give a text: "7"'],
        [line({ occurredAt: '2026-02-30T10:00:00Z' }), 'no such date and time'],
        [line({ occurredAt: '2026-01-31T10:00:00' }), 'zone'],
        [line({ occurredAt: '2026-01-31T10:00:00.1234567Z' }), 'at most 6 digits'],
        [line({ ocurredAt: '2026-01-31T10:00:00Z' }), 'ocurredAt is not a field of an event'],
        [line({ attributes: { a: { b: 1 } } }), 'attributes.a is an object'],
        [line({ attributes: { a: 1 } }), 'attributes.a is the number 1; give a text: "1"'],
        ['{"stream":"s","type":"CREATE","actor":"a","outputs":[{"name":"x","size":9007199254740993}]}', 'would become 9007199254740992'],
        ['{"stream":"s","stream":"t","type":"CREATE","actor":"a"}', 'the name occurs twice'],
        ['{"stream":"s\\ud800","type":"CREATE","actor":"a"}', 'half of a surrogate pair'],
        [Buffer.concat([Buffer.from('{"stream":"'), Buffer.from([0xff]), Buffer.from('","type":"CREATE","actor":"a"}')]), 'not UTF-8'],
        ['{"stream":"s","type":"CREATE","actor":"a","__proto__":{}}', '__proto__'],
        ['{"stream":"s","type":"CREATE"}', 'actor is missing'],
        ['["s"]', 'it is a list; give an object'],
        [line({ attributes: { a: 'x'.repeat(1024 * 1024) } }), 'more than 1048576 bytes'],
        [line({ attributes: { a: 'x'.repeat(300_000) } }), 'more than 262144'],
      ];
      // Good lines are between the bad ones, the first behind a byte order mark and the last without its end.
      const parts = [
        Buffer.from('\ufeff'),
        ...bad.flatMap(([text]) => [line(), '\r\n', text, '\n'].map((each) => Buffer.from(each))),
        Buffer.from(line()),
      ];
      const path = file('mixed.jsonl', Buffer.concat(parts));
      const { code, stdout, stderr } = await emit(path);
      expect([code, stdout.trim().split('\n').length]).toEqual([1, bad.length + 1]);
      const said = stderr.trim().split('\n');
      for (const [i, [, why]] of bad.entries()) {
        expect(said[i]).toContain(`${path}: line ${2 * i + 2} was not recorded: `);
        expect(said[i]).toContain(why);
        expect(said[i]).toMatch(/\[(?:EVENT_INVALID|FORMAT_INVALID|LIMIT_EXCEEDED)\]$/);
      }
      expect(said.slice(bad.length)).toEqual([
        `lineproof: ${path}: 18 of its events recorded, 17 refused: lines ${bad.map((_, i) => 2 * i + 2).join(', ')}`,
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    'pairs each line with its id or its error for programs, in the order of the lines',
    async () => {
      const path = file('json.jsonl', `${line()}\n\n{"stream":"s"}\n${line()}\n`);
      const { code, stdout } = await emit(path, '--json');
      const rows = stdout
        .trim()
        .split('\n')
        .map((row) => JSON.parse(row));
      expect([code, rows]).toEqual([
        1,
        [
          { line: 1, id: expect.any(String) },
          { line: 3, error: { code: 'EVENT_INVALID', field: 'type', message: expect.stringContaining('type is missing') } },
          { line: 4, id: expect.any(String) },
        ],
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    'says that an empty input held nothing',
    async () => {
      const path = file('empty.jsonl', '\r\n');
      expect(await emit(path)).toEqual({
        code: 0,
        signal: null,
        stdout: '',
        stderr: `lineproof: ${path}: it holds no event, so nothing was recorded\n`,
      });
    },
    TIMEOUT_MS,
  );

  test(
    'records every line even if the reader of the ids has gone',
    async () => {
      const path = file('many.jsonl', Array.from({ length: 5_000 }, () => line({ stream: 'unread' })).join('\n'));
      const child = spawn(process.execPath, [MAIN, 'emit', path, '--data', data], { stdio: ['ignore', 'pipe', 'ignore'] });
      child.stdout.once('data', () => child.stdout.destroy());
      const [code] = await once(child, 'close');
      const { events } = await archived();
      expect([code, events.filter(({ stream }) => stream === 'unread').length]).toEqual([0, 5_000]);
    },
    TIMEOUT_MS,
  );

  test(
    'that is interrupted records what it read, says so, and does not end with 0',
    async () => {
      const { code, stderr } = await new Promise<CommandResult>((resolve) => {
        const child = spawn(process.execPath, [MAIN, 'emit', '--data', data], { stdio: ['pipe', 'pipe', 'pipe'] });
        let said = '';
        child.stderr.on('data', (chunk: Buffer) => {
          said += chunk.toString();
        });
        child.stdout.once('data', () => child.kill('SIGINT'));
        child.on('close', (ended, signal) => resolve({ code: ended, signal, stdout: '', stderr: said }));
        child.stdin.write(`${line({ stream: 'interrupted' })}\n`);
      });
      expect([code, stderr]).toEqual([
        74,
        'lineproof: stdin: it was interrupted; lines after line 1 were not read; 1 of its events recorded\n',
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    'adds nothing when a file with keys and times is sent again, and leaves no conflict',
    async () => {
      const again = join(folder.path, 'again');
      const lines = [1, 2, 3].map((n) =>
        line({ stream: 'keyed', idempotencyKey: `order ${n}`, occurredAt: `2026-01-31T10:00:0${n}.123456Z` }),
      );
      const path = file('keyed.jsonl', lines.join('\n'));
      const results = [await lineproof(['emit', path, '--data', again]), await lineproof(['emit', path, '--data', again])];
      expect(results[0]?.stdout).toBe(results[1]?.stdout);
      const { events, conflicts } = await archived(again);
      expect([events.length, conflicts]).toEqual([3, 0]);
      expect(events.map(({ occurredAt }) => occurredAt)).toEqual(
        [1, 2, 3].map((n) => (Date.UTC(2026, 0, 31, 10) + 1000 * n) * 1000 + 123_456),
      );
    },
    TIMEOUT_MS,
  );

  test(
    'records beside a running start, which archives the events',
    async () => {
      const child = spawn(process.execPath, [MAIN, 'start', '--data', data], { stdio: ['ignore', 'pipe', 'inherit'] });
      await new Promise<void>((resolve) => child.stdout.on('data', (chunk: Buffer) => chunk.includes('Running') && resolve()));
      const { code, stdout, stderr } = await emit(file('beside.jsonl', line({ stream: 'beside' })));
      expect([code, stderr]).toEqual([0, expect.stringMatching(/is in use: the events go to .*spool\/emit-.*takes over\n$/)]);
      while (readdirSync(join(data, 'spool')).length > 1) await new Promise((resolve) => void setImmediate(resolve));
      child.kill('SIGTERM');
      await once(child, 'close');
      const { events } = await archived();
      expect(events.filter(({ stream }) => stream === 'beside').map(({ id }) => id)).toEqual([stdout.trim()]);
    },
    TIMEOUT_MS,
  );
});
