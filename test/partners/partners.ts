import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { fromBase64, utf8 } from '../../core/base/bytes.ts';
import { formatPrivateKey, formatVerifierKey } from '../../core/keys/key.ts';
import { KEY_TYPE } from '../../core/keys/signature.ts';
import { testSigner } from '../support/producer.ts';
import { witnessKeyOf } from '../support/witnesses.ts';

const CACHE = process.env['LINEPROOF_PARTNERS'] ?? join(homedir(), '.cache/lineproof/partners');
/** Programs, the Go package that each is built from, and the toolchain that it wants. */
const PROGRAMS = {
  omniwitness: ['github.com/transparency-dev/witness/cmd/omniwitness@v0.0.0-20260720115447-2e1c6971d19e', undefined],
  litewitness: ['filippo.io/torchwood/cmd/litewitness@v0.10.0', 'go1.27.3'],
} as const;

/** A witness that runs, as a policy names it. */
export interface Partner {
  readonly name: string;
  readonly key: string;
  readonly url: string;
  stop(): Promise<void>;
}

/** The path of a program, which is built at the first call. Throws with the output of `go` where it cannot be built. */
function program(name: keyof typeof PROGRAMS): string {
  const path = join(CACHE, 'bin', name);
  if (existsSync(path)) return path;
  const [source, toolchain] = PROGRAMS[name];
  mkdirSync(join(CACHE, 'bin'), { recursive: true });
  process.stdout.write(`building ${source}\n`);
  run('go', ['install', source], { GOBIN: join(CACHE, 'bin'), ...(toolchain === undefined ? {} : { GOTOOLCHAIN: toolchain }) });
  return path;
}

function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  return stdout;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a server and waits until it answers anything. */
async function serving(command: string, args: readonly string[], url: string): Promise<() => Promise<void>> {
  const child: ChildProcess = spawn(command, args, { stdio: 'ignore' });
  const ended = once(child, 'close');
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}`);
    try {
      await fetch(url);
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return async () => {
    child.kill('SIGKILL');
    await ended;
  };
}

/** omniwitness with one log, on a Go note key of ours. */
export async function omniwitness(folder: string, logKey: string): Promise<Partner> {
  const name = 'omni.example/witness';
  const signer = testSigner(name, 'omni');
  const port = await freePort();
  const [keyFile, logs] = [join(folder, 'omni.key'), join(folder, 'omni.yaml')];
  writeFileSync(keyFile, `${formatPrivateKey(name, sha256(utf8('test seed of omni')))}\n`, { mode: 0o600 });
  const origin = logKey.slice(0, logKey.indexOf('+'));
  writeFileSync(logs, `Logs:\n  - Origin: ${origin}\n    PublicKey: ${logKey}\n    URL: http://127.0.0.1:1/\n    Feeder: none\n`);
  const url = `http://127.0.0.1:${port}`;
  const args = ['--listen', `127.0.0.1:${port}`, '--metrics_listen', `127.0.0.1:${await freePort()}`, '--private_key_path', keyFile];
  const stop = await serving(program('omniwitness'), [...args, '--additional_logs', logs, '--db_file', join(folder, 'omni.db')], url);
  return { name: 'omniwitness', key: witnessKeyOf(signer), url, stop };
}

/** litewitness with one log, on a key in an agent of its own. Its rows are written by hand: the program that would write them cannot be had everywhere. */
export async function litewitness(folder: string, logKey: string): Promise<Partner> {
  const name = 'lite.example/witness';
  const [keyFile, socket, database] = ['lite.key', 'lite.sock', 'lite.db'].map((file) => join(folder, file)) as [string, string, string];
  run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile]);
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
  run('ssh-add', ['-q', keyFile], { SSH_AUTH_SOCK: socket });
  const [, fingerprint = ''] = run('ssh-keygen', ['-l', '-f', `${keyFile}.pub`]).split(' ');
  const [, blob = ''] = readFileSync(`${keyFile}.pub`, 'utf8').split(' ');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['-name', name, '-key', fingerprint, '-ssh-agent', socket, '-db', database, '-listen', `127.0.0.1:${port}`];
  const start = (): Promise<() => Promise<void>> => serving(program('litewitness'), args, url);
  // The first start makes the tables.
  await (await start())();
  const origin = logKey.slice(0, logKey.indexOf('+'));
  const empty = '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';
  run('sqlite3', [
    database,
    `INSERT INTO log (origin, tree_size, tree_hash) VALUES ('${origin}', 0, '${empty}'); INSERT INTO key (origin, key) VALUES ('${origin}', '${logKey}');`,
  ]);
  const stop = await start();
  const key = formatVerifierKey(name, KEY_TYPE.cosignature, fromBase64(blob).slice(-32));
  return {
    name: 'litewitness',
    key,
    url,
    stop: async () => {
      await stop();
      agent.kill();
    },
  };
}
