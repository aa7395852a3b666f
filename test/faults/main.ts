// The fault table: npm run test:faults. docs/cluster.md has the times that it measured.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from '../support/random.ts';
import { type OwnStack, ownStack } from '../support/stack.ts';
import { type Row, runScene } from './row.ts';
import type { Scene } from './scene.ts';
import { SCENES } from './scenes.ts';
import { tableText } from './table.ts';

const EXIT = { passed: 0, failed: 1, usage: 2 };
const RATE = 200;

const HELP = `The fault table: three brokers, two chainers, two archivers and two producers under load, a fault, and what became of every event.

Usage: npm run test:faults -- [NAME…] [OPTIONS]

Without names it runs every fault, in more than an hour. A row passes if every acknowledged event is linked and archived once, new events of every shard
are linked and commits, metrics, "lineproof status" and an admin client of kafkajs agree within 60 s after the fault, no service ended by itself, and
"lineproof verify" says OK. A fault that this machine cannot make says NOT RUN, which is not passed.

Options:
  --list         list the faults
  --short        shorten the waiting times from minutes to seconds, to try it out
  --rate N       events a second and producer (${RATE})
  --seed N       what is chosen at random; printed at the start
  --json FILE    also write the table as JSON, after each row
  -h, --help     print this text

Exit codes: 0 all passed, 1 a row did not pass, 2 usage.
`;

interface Options {
  readonly scenes: readonly Scene[];
  readonly list: boolean;
  readonly help: boolean;
  readonly isShort: boolean;
  readonly rate: number;
  readonly seed: number;
  readonly json: string | undefined;
}

function parse(argv: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      short: { type: 'boolean', default: false },
      rate: { type: 'string', default: String(RATE) },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
      json: { type: 'string' },
    },
  });
  const unknown = positionals.find((name) => SCENES.every((scene) => scene.name !== name));
  if (unknown !== undefined) throw new Error(`there is no fault ${JSON.stringify(unknown)}; --list has them`);
  const scenes = positionals.length === 0 ? SCENES : SCENES.filter(({ name }) => positionals.includes(name));
  const { list, help, json } = values;
  return {
    scenes,
    list,
    help,
    isShort: values.short,
    rate: wholeNumber('rate', values.rate, 1),
    seed: wholeNumber('seed', values.seed, 0),
    json,
  };
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least) throw new Error(`--${option} must be a whole number from ${least}`);
  return value;
}

async function main({ scenes, isShort, rate, seed, json }: Options, signal: AbortSignal): Promise<number> {
  const say = (text: string): void => void process.stdout.write(`[${(performance.now() / 1000).toFixed(1).padStart(7)} s] ${text}\n`);
  say(
    `${scenes.length} faults${isShort ? ', with short waiting times' : ''}; --seed ${seed}; starting three brokers, Redis, a registry and S3`,
  );
  const folder = mkdtempSync(join(tmpdir(), 'lineproof-faults-'));
  process.env['LINEPROOF_TEST_STACKS'] = join(folder, 'stack-');
  const rows: Row[] = [];
  const keepLogs = (name: string, logs: string): void => {
    const file = join(tmpdir(), `lineproof-faults-${process.pid}-${name}.log`);
    writeFileSync(file, logs);
    say(`  logs of its services: ${file}`);
  };
  let stack: OwnStack | undefined;
  try {
    stack = await ownStack('--brokers', '3');
    for (const scene of scenes) {
      if (signal.aborted) break;
      say(`${scene.name}: ${scene.says}`);
      const row = await runScene(stack, scene, { isShort, rate, random: new Random(seed), say: (text) => say(`  ${text}`), keepLogs });
      rows.push(row);
      say(`${scene.name}: ${row.verdict}${row.reasons.map((reason) => `\n            ${reason}`).join('')}`);
      if (json !== undefined) writeFileSync(json, `${JSON.stringify({ seed, isShort, rate, rows }, null, 2)}\n`);
    }
  } finally {
    await stack?.release();
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`\n${tableText(rows)}`);
  return rows.length === scenes.length && rows.every(({ verdict }) => verdict === 'PASSED') ? EXIT.passed : EXIT.failed;
}

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    process.stderr.write('interrupted: the run ends after this fault\n');
    interrupt.abort();
  });

let options: Options | undefined;
try {
  options = parse(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`test:faults: ${error instanceof Error ? error.message : String(error)}; see npm run test:faults -- --help\n`);
  process.exitCode = EXIT.usage;
}
if (options?.help === true) process.stdout.write(HELP);
else if (options?.list === true) process.stdout.write(SCENES.map(({ name, says }) => `${name.padEnd(20)}${says}\n`).join(''));
else if (options !== undefined) process.exitCode = await main(options, interrupt.signal);
