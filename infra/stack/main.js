#!/usr/bin/env node
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stackFolder } from './folders.js';
import { inspectMachine, missingFor } from './runtimes.js';
import { connectionSettings, readStack } from './stack.js';
import { messageOf, StackError } from './stack-error.js';
import { bringUp, reset, stackStatus, takeDown } from './up.js';
import { VERSIONS } from './versions.js';

const EXIT = { ok: 0, notRunning: 1, usage: 2, bug: 70, failed: 75 };

const HELP = `Real servers for Lineproof on this machine, without Docker.

Usage: npm run stack -- COMMAND [OPTIONS]

Commands:
  up       start Kafka, a schema registry, S3 and Redis; fetch them the first time
  status   show which servers run and which answer; exit code 1 unless all do both
  down     end the servers; their data stays
  reset    down, delete the data, up
  check    list what this machine lacks for up; exit code 1 if anything is missing

Options:
  --name NAME         one of several stacks side by side (default)
  --data DIR          folder of its data and stack.json (.stack/NAME in the project)
  --brokers 1|3       Kafka brokers (1)
  --secure            also a SASL_SSL listener (PLAIN, SCRAM-SHA-256) and a Redis with TLS and password
  --with toxiproxy    also a proxy in front of each server, to make faults
  --json              print data for programs on stdout
  -h, --help          print this text

Results go to stdout, messages to stderr. Exit codes: 0 ok, 1 not all run, 2 usage, 75 failed, 70 bug.
`;

/** @type {import('node:util').ParseArgsConfig['options']} */
const OPTIONS = {
  name: { type: 'string', default: 'default' },
  data: { type: 'string' },
  brokers: { type: 'string' },
  secure: { type: 'boolean' },
  with: { type: 'string', multiple: true },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
};

class UsageError extends Error {}

/**
 * @param {readonly string[]} argv
 * @returns {{ command: string, name: string, data: string | undefined, json: boolean, help: boolean, shape: Partial<import('./stack.js').Shape> }}
 */
function parse(argv) {
  let parsed;
  try {
    parsed = parseArgs({ args: [...argv], options: OPTIONS ?? {}, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  const { name, data, brokers, secure, with: extras, json, help } = /** @type {Record<string, any>} */ (parsed.values);
  const [command = '', ...more] = parsed.positionals;
  if (help) return { command: 'help', name, data, json, help, shape: {} };
  if (!Object.hasOwn(COMMANDS, command))
    throw new UsageError(command === '' ? 'which command?' : `there is no command ${JSON.stringify(command)}`);
  if (more.length > 0) throw new UsageError(`${command} takes no argument ${JSON.stringify(more[0])}`);
  if (brokers !== undefined && brokers !== '1' && brokers !== '3') throw new UsageError('--brokers is 1 or 3');
  const unknown = (extras ?? []).find((/** @type {string} */ extra) => extra !== 'toxiproxy');
  if (unknown !== undefined) throw new UsageError(`--with knows toxiproxy, not ${JSON.stringify(unknown)}`);
  const shape = {
    ...(brokers === undefined ? {} : { brokers: Number(brokers) }),
    ...(secure === true ? { secure: true } : {}),
    ...(extras === undefined ? {} : { toxiproxy: true }),
  };
  return { command, name, data, json, help, shape };
}

/** @typedef {import('./up.js').Scene & { readonly json: boolean, readonly shape: Partial<import('./stack.js').Shape> }} Invocation */

/** @type {Record<string, (invocation: Invocation) => Promise<number>>} */
const COMMANDS = {
  up: async (invocation) => showUp(await bringUp(invocation, invocation.shape), invocation),
  reset: async (invocation) => showUp(await reset(invocation, invocation.shape), invocation),
  down: async (invocation) => {
    const ended = await takeDown(invocation);
    print(invocation.json ? JSON.stringify({ ended }) : ended ? `The stack in ${invocation.folder} is down.` : 'Nothing ran.');
    return EXIT.ok;
  },
  status: async ({ folder, json }) => {
    const stack = readStack(folder);
    const servers = stack === undefined ? [] : await stackStatus(stack);
    const ok = servers.length > 0 && servers.every(({ running, answers }) => running && answers);
    if (json) print(JSON.stringify({ folder, ok, servers }, null, 2));
    else print(stack === undefined ? `No stack was started in ${folder}.` : servers.map(statusLine).join('\n'));
    return ok ? EXIT.ok : EXIT.notRunning;
  },
  check: async ({ shape, json }) => {
    const missing = await missingFor({ brokers: 1, secure: false, toxiproxy: false, ...shape }, await inspectMachine());
    if (json) print(JSON.stringify({ missing }));
    else print(missing.length === 0 ? 'This machine has what the stack needs.' : `This machine lacks\n  - ${missing.join('\n  - ')}`);
    return missing.length === 0 ? EXIT.ok : EXIT.notRunning;
  },
};

/** @param {Awaited<ReturnType<typeof stackStatus>>[number]} server */
function statusLine({ name, address, running, answers, pids, log }) {
  const state = running
    ? answers
      ? `runs, process ${pids.join(', ')}`
      : `runs but does not answer, process ${pids.join(', ')}; see ${log}`
    : `DOWN, see ${log}`;
  return `${name.padEnd(14)}${address.padEnd(18)}${state}`;
}

/**
 * @param {import('./stack.js').Stack} stack
 * @param {Invocation} invocation
 */
function showUp(stack, { json }) {
  const settings = connectionSettings(stack);
  if (json) {
    const { kafka, registry, versitygw } = VERSIONS;
    const versions = { kafka, registry: `Apicurio ${registry}`, s3: `versitygw ${versitygw}` };
    print(JSON.stringify({ folder: stack.folder, file: join(stack.folder, 'stack.json'), ...settings, versions }, null, 2));
    return EXIT.ok;
  }
  const option = stack.name === 'default' ? '' : ` --name ${stack.name}`;
  print(`Kafka     ${settings.kafka.brokers.join(',')}
Registry  ${settings.registry.url}
S3        ${settings.s3.endpoint}, bucket ${settings.s3.bucket}
Redis     ${settings.redis.url}

Next:
  . ${join(stack.folder, 'stack.env')}    # addresses and credentials for this shell
  npm run stack -- status${option}
  npm run stack -- down${option}          # the data stays; reset deletes it
All settings are in ${join(stack.folder, 'stack.json')}, logs in ${join(stack.folder, 'logs')}.`);
  return EXIT.ok;
}

/** @param {string} text */
function print(text) {
  process.stdout.write(`${text}\n`);
}

/** @param {readonly string[]} argv @param {AbortSignal} signal */
async function main(argv, signal) {
  const { command, name, data, json, help, shape } = parse(argv);
  if (help) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const say = (/** @type {string} */ text) => process.stderr.write(`[${(performance.now() / 1000).toFixed(1).padStart(6)} s] ${text}\n`);
  const run = /** @type {(invocation: Invocation) => Promise<number>} */ (COMMANDS[command]);
  return run({ name, folder: stackFolder(name, data), say: (text) => void say(text), signal, json, shape });
}

/** @param {unknown} error */
function report(error) {
  if (error instanceof UsageError) return [EXIT.usage, `stack: ${error.message}; see npm run stack -- --help`];
  if (error instanceof StackError) return [EXIT.failed, `stack: ${error.message}`];
  return [EXIT.bug, `stack: this is a bug, please report it\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
}

const interrupt = new AbortController();
for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(name, () => interrupt.abort());

try {
  process.exitCode = await main(process.argv.slice(2), interrupt.signal);
} catch (error) {
  const [code, text] = report(error);
  process.stderr.write(`${text}\n`);
  process.exitCode = Number(code);
}
