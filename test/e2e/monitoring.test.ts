import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { lineproof, MAIN, temporaryFolder } from '../support/command.ts';
import { alertRules, panelQueries } from '../support/monitoring.ts';

const TIMEOUT_MS = 60_000;
const run = promisify(execFile);
const RULES = fileURLToPath(new URL('../../infra/monitoring/', import.meta.url));
const folder = temporaryFolder('monitoring');
const data = join(folder.path, 'data');
const children: ReturnType<typeof spawn>[] = [];
let prometheus = '';

/** Series of the metrics that a system without Kafka, refusals or trouble does not have. */
const OF_OTHERS = /kafka_|lineproof_group_|_held|_refused_total|_receipts_total|_lost_races_total|lineproof_collector_/;

/** What Prometheus answers to an expression at this moment. */
async function ask(
  expr: string,
): Promise<{ readonly status: string; readonly error?: string; readonly data?: { readonly result: readonly unknown[] } }> {
  const response = await fetch(`${prometheus}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expr }) });
  return (await response.json()) as Awaited<ReturnType<typeof ask>>;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const last = Date.now() + TIMEOUT_MS;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > last) throw new Error(`it never held: ${String(holds)}`);
    await pause(200);
  }
}

/** Starts a program that stays until the tests end. */
function start(program: string, args: readonly string[]): ReturnType<typeof spawn> {
  const child = spawn(program, args, { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

/** The first match in what a stream says; empty if it ends before. Reads on afterwards, so that the program never waits. */
async function heard(stream: NodeJS.ReadableStream | null, pattern: RegExp): Promise<string> {
  let said = '';
  return new Promise((resolve) => {
    stream?.on('data', (chunk: Buffer) => {
      said += String(chunk);
      const found = pattern.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    stream?.on('end', () => resolve(''));
  });
}

beforeAll(async () => {
  const system = start(process.execPath, [MAIN, 'start', '--data', data, '--http-port', '0']);
  system.stderr?.resume();
  const target = await heard(system.stdout, / on http:\/\/(\S+)\n/);
  expect(target).not.toBe('');
  const configuration = `{ global: { scrape_interval: 1s, evaluation_interval: 1s }, rule_files: ["${RULES}lineproof.rules.yaml"], scrape_configs: [{ job_name: lineproof, static_configs: [{ targets: ["${target}"] }] }] }`;
  writeFileSync(join(folder.path, 'prometheus.yaml'), configuration);
  const server = start('prometheus', [
    `--config.file=${join(folder.path, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(folder.path, 'tsdb')}`,
    '--web.listen-address=127.0.0.1:0',
  ]);
  const failed = once(server, 'error').then(([error]) => {
    throw new Error(`cannot start prometheus (Debian: apt-get install prometheus): ${String(error)}`);
  });
  server.stdout?.resume();
  const address = await Promise.race([heard(server.stderr, /Listening on" address=(\S+)/), failed]);
  expect(address).not.toBe('');
  prometheus = `http://${address}`;
  const shows = async (expr: string): Promise<boolean> => ((await ask(expr)).data?.result.length ?? 0) > 0;
  const emit = async (): Promise<void> => {
    const { code } = await lineproof(['emit', '--data', data], { input: '{"stream":"a","type":"CREATE","actor":"x"}\n' });
    expect(code).toBe(0);
  };
  // A rate needs samples before and after an event.
  await emit();
  await until(() => shows('lineproof_chainer_size'));
  await emit();
  await until(() => shows('rate(lineproof_chainer_links_total[30s]) > 0'));
  await until(() => shows('lineproof_archiver_archived_size == lineproof_chainer_size'));
}, TIMEOUT_MS);

afterAll(async () => {
  for (const child of children) {
    const ended = once(child, 'close');
    if (child.exitCode === null && child.pid !== undefined && child.kill('SIGTERM')) await ended;
  }
  folder.release();
}, TIMEOUT_MS);

test('promtool accepts the rules, and each alert fires and is cleared in its scene', async () => {
  expect((await run('promtool', ['check', 'rules', join(RULES, 'lineproof.rules.yaml')])).stdout).toMatch(
    new RegExp(`SUCCESS: ${alertRules().length} rules found`),
  );
  const { stdout, stderr } = await run('promtool', ['test', 'rules', join(RULES, 'lineproof.rules.test.yaml')]);
  expect(`${stdout}${stderr}`).toMatch(/SUCCESS/);
  await run('promtool', ['check', 'config', '--syntax-only', join(RULES, 'prometheus.yaml')]);
});

test.each(panelQueries().map(({ place, expr }) => [place, expr] as const))(
  '%s: a real Prometheus evaluates it over a running system',
  async (_, expr) => {
    const query = expr.replaceAll('$__rate_interval', '30s').replaceAll(/\$\w+/g, '.*');
    const { status, error, data: answer } = await ask(query);
    expect([status, error]).toEqual(['success', undefined]);
    const shows = (answer?.result.length ?? 0) > 0;
    expect(shows || OF_OTHERS.test(expr) || query.includes('and on (shard)')).toBe(true);
  },
);

test('it evaluates the expression of each alert without an error', async () => {
  const { data: loaded } = (await (await fetch(`${prometheus}/api/v1/rules`)).json()) as {
    data: { groups: readonly { rules: readonly { name: string; health: string }[] }[] };
  };
  const health = loaded.groups.flatMap(({ rules }) => rules.map((rule) => [rule.name, rule.health]));
  expect(Object.fromEntries(health)).toEqual(Object.fromEntries(alertRules().map(({ alert }) => [alert, 'ok'])));
});

test('no alert fires while all is well', async () => {
  const { data: answer } = await ask('ALERTS');
  expect(answer?.result).toEqual([]);
});
