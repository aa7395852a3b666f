// The cluster on the local stack, in a minute: 4 shards, three producers, two chainers and two archivers, each a process, and a verdict.
// Brings the stack up if it is down, and leaves it up. Topics and objects have names of this run.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SHARDS = 4;
const PRODUCERS = 3;
const EVENTS = 5_000;
const READY_MS = 60_000;
const ARCHIVED_MS = 120_000;
/** Exit code of a verdict that is OPEN. */
const OPEN = 5;

const run = `demo-${Date.now().toString(36)}`;
const folder = mkdtempSync(join(tmpdir(), `lineproof-${run}-`));
const services = [];

function say(text) {
  process.stdout.write(`${text}\n`);
}

/** Environment of the services: the stack's servers, and names of this run. */
function environment() {
  const up = spawnSync(process.execPath, ['infra/stack/main.js', 'up'], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (up.status !== 0) throw new Error('the stack is not up; npm run stack -- check says what this machine lacks');
  const lines = readFileSync('.stack/default/stack.env', 'utf8').matchAll(/^export (\w+)='(.*)'$/gm);
  return {
    ...process.env,
    ...Object.fromEntries([...lines].map(([, name, value]) => [name, value])),
    LINEPROOF_KAFKA_TOPIC_PREFIX: `${run}.`,
    LINEPROOF_S3_PREFIX: `${run}/`,
    LINEPROOF_KEYS: join(folder, 'keys'),
  };
}

/** Runs a command to its end and returns its output. */
function lineproof(env, ...args) {
  const accepted = args[0] === 'verify' ? [0, OPEN] : [0];
  const { status, stdout, stderr } = spawnSync(process.execPath, ['dist/cli/main.js', ...args], { env, encoding: 'utf8' });
  if (!accepted.includes(status)) throw new Error(`lineproof ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** Starts a service; its log goes to a file beside its data. */
function start(env, kind, name) {
  const log = openSync(join(folder, `${name}.log`), 'w');
  const args = ['dist/cli/main.js', kind, '--data', join(folder, name), '--name', name, '--http-port', '0'];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', log, log] });
  closeSync(log);
  services.push(child);
  child.on('exit', (code) => {
    if (code !== 0 && code !== null) say(`${name} ended with ${code}; its log: ${join(folder, `${name}.log`)}`);
  });
}

/** Runs a producer: a process that sends its events, lines of JSON. */
function produce(env, producer) {
  const file = join(folder, `producer-${producer}.jsonl`);
  const line = (i) =>
    JSON.stringify({
      stream: `orders/${(i * 7 + producer) % 25}`,
      type: i % 3 === 0 ? 'CREATE' : 'TRANSFORM',
      actor: `shop-${producer}`,
      attributes: { number: String(i), producer: String(producer) },
    });
  writeFileSync(file, `${Array.from({ length: EVENTS }, (_, i) => line(i)).join('\n')}\n`);
  const args = ['dist/cli/main.js', 'emit', '--cluster', '--quiet', file, '--data', join(folder, `producer-${producer}`)];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`producer ${producer} ended with ${code}`))));
  });
}

async function until(what, limitMs, holds) {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what} took too long; logs are in ${folder}`);
    await sleep(500);
  }
}

async function demo() {
  const started = Date.now();
  const seconds = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
  say('Servers: Kafka, Redis, a schema registry and S3 on this machine …');
  const env = environment();
  mkdirSync(join(folder, 'tool'));
  const tool = ['--data', join(folder, 'tool')];
  lineproof(env, 'topics', 'create', '--shards', String(SHARDS), ...tool);
  lineproof(env, 'policy', 'init', '--shards', String(SHARDS), '--segment-max-age-ms', '3000', ...tool);
  say(`Topics, keys and a policy for ${SHARDS} shards. Keys: ${join(folder, 'keys')} (${seconds()})`);
  for (const kind of ['chain', 'archive']) for (const n of [1, 2]) start(env, kind, `${kind}-${n}`);
  const status = () => JSON.parse(lineproof(env, 'status', '--json', ...tool));
  await until('joining the groups', READY_MS, () => status().every(({ chainer, archiver }) => chainer !== null && archiver !== null));
  say(`Two chainers and two archivers share the shards (${seconds()})`);
  const before = Date.now();
  await Promise.all(Array.from({ length: PRODUCERS }, (_, producer) => produce(env, producer)));
  say(`${PRODUCERS} producers recorded and sent ${PRODUCERS * EVENTS} events (${seconds()})`);
  await until('archiving', ARCHIVED_MS, () => status().every(({ lag, size, archived }) => lag === 0 && size > 0 && archived === size));
  say(`All of them are chained, attested and archived, ${((Date.now() - before) / 1000).toFixed(1)} s after the first (${seconds()})\n`);
  say(lineproof(env, 'status', ...tool));
  const archive = `s3://${env.LINEPROOF_S3_BUCKET}/${run}`;
  const key = join(folder, 'keys', 'root.pub');
  say(lineproof(env, 'verify', archive, '--key', `@${key}`));
  say(`To look further, in another shell:

  . .stack/default/stack.env
  export LINEPROOF_KAFKA_TOPIC_PREFIX=${run}. LINEPROOF_S3_PREFIX=${run}/ LINEPROOF_KEYS=${join(folder, 'keys')}
  node dist/cli/main.js query ${archive} --stream orders/3
  node dist/cli/main.js verify ${archive} --key @${key}
  node dist/cli/main.js policy show

docs/cluster.md starts the same services by hand. npm run stack -- down ends the servers.`);
}

let failure;
try {
  await demo();
} catch (error) {
  failure = error;
}
await Promise.all(
  services
    .filter((service) => service.exitCode === null)
    .map((service) => {
      service.kill('SIGTERM');
      return new Promise((resolve) => service.once('exit', resolve));
    }),
);
if (failure !== undefined) process.stderr.write(`demo: ${failure.message}\n`);
process.exitCode = failure === undefined ? 0 : 1;
