// npm run test:repositories -- [--made N] [PATH…]
// Collects the git history of each repository whole, from a shallow clone and from a partial clone, and compares what was recorded with what git
// says. With --made it does the same for a history of N commits that git fast-import makes. Nothing of the repositories stays.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { compare } from './compare.js';
import { makeHistory } from './made-history.js';
import { commitsIn } from './recorded.js';

const MAIN = 'dist/cli/main.js';
const DEPTH = '100';
const LOOK_MS = 50;

function git(...args) {
  const { status, stderr } = spawnSync('git', args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
}

/** The forms in which one repository is collected: each makes a clone, or gives the repository itself. */
const FORMS = {
  whole: (path) => path,
  shallow: (path, clone) => {
    git('clone', '-q', '--bare', '--depth', DEPTH, `file://${path}`, clone);
    return clone;
  },
  partial: (path, clone) => {
    git('clone', '-q', '--bare', '--filter=blob:none', '-u', 'git -c uploadpack.allowFilter=true upload-pack', `file://${path}`, clone);
    return clone;
  },
};

/** The most memory that the process had resident so far, MB; the last known if it has ended. */
function peakOf(pid, before) {
  try {
    return Math.max(before, Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024));
  } catch {
    return before;
  }
}

async function collect(folder, data) {
  const begun = performance.now();
  const args = [
    MAIN,
    'collect',
    'git',
    folder,
    '--data',
    data,
    '--stream',
    'history',
    '--actors',
    'plain',
    '--verify',
    '--json',
    '--segment-max-age-ms',
    '1000',
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = [[], []];
  child.stdout.on('data', (chunk) => out.push(chunk));
  child.stderr.on('data', (chunk) => err.push(chunk));
  let peak = 0;
  const look = setInterval(() => (peak = peakOf(child.pid, peak)), LOOK_MS);
  const code = await new Promise((done) => child.once('close', done));
  clearInterval(look);
  if (code !== 0) throw new Error(`collect git ${folder} ended with ${code}: ${Buffer.concat(err).toString()}`);
  const { collected, verdict } = JSON.parse(Buffer.concat(out).toString());
  return { collected, verdict: verdict.result, seconds: (performance.now() - begun) / 1000, peak };
}

function recordedIn(data) {
  const child = spawn(process.execPath, [MAIN, 'query', '--data', data, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  return commitsIn(child.stdout);
}

/** Collects one form and compares; prints a line, and the differences. True if there are none. */
async function judge(name, folder, data) {
  const { collected, verdict, seconds, peak } = await collect(folder, data);
  const { counts, differences } = await compare(folder, 'history', await recordedIn(data));
  differences.same('commits collected', collected.commits, counts.commits);
  const rate = Math.round(counts.commits / seconds);
  const compared = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
  process.stdout.write(
    `${name}: ${differences.count} differences, verdict ${verdict}; ${seconds.toFixed(1)} s with verdict, ${rate} commits/s, ${peak} MB\n`,
  );
  process.stdout.write(`  compared: ${compared.join(', ')}\n`);
  for (const line of differences.kept) process.stdout.write(`  ${line}\n`);
  return differences.count === 0 && verdict === 'OK';
}

async function judgeRepository(path, room) {
  let good = true;
  for (const [form, make] of Object.entries(FORMS)) {
    const [clone, data] = [join(room, 'clone'), join(room, 'data')];
    try {
      good = (await judge(`${path} ${form}`, make(path, clone), data)) && good;
    } finally {
      for (const each of [clone, data]) rmSync(each, { recursive: true, force: true });
    }
  }
  return good;
}

const { values, positionals } = parseArgs({ options: { made: { type: 'string' } }, allowPositionals: true });
const folder = mkdtempSync(join(tmpdir(), 'lineproof-repositories-'));
let good = positionals.length > 0 || values.made !== undefined;
if (!good) process.stderr.write('Usage: npm run test:repositories -- [--made COMMITS] [PATH…]\n');
try {
  if (values.made !== undefined) {
    const made = join(folder, 'made');
    mkdirSync(made);
    await makeHistory(made, Number(values.made));
    good = (await judgeRepository(made, folder)) && good;
  }
  for (const path of positionals) good = (await judgeRepository(resolve(path), folder)) && good;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = good ? 0 : 1;
