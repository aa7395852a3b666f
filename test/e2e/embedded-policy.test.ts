import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { toBase64 } from '../../core/base/bytes.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { type CommandResult, lineproof, MAIN, temporaryFolder } from '../support/command.ts';
import { OpensslAuthority, serveStamps } from '../support/openssl-authority.ts';

const TIMEOUT_MS = 180_000;
const folder = temporaryFolder('embedded-policy');
const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) await ended(child);
});
afterAll(() => folder.release());

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'close');
}

/** A command in a folder of its own below the test's folder. */
function inFolder(name: string): (args: readonly string[], input?: string) => Promise<CommandResult> {
  mkdirSync(join(folder.path, name), { recursive: true });
  return (args, input = '') => lineproof(args, { cwd: join(folder.path, name), input, env: { LINEPROOF_SEGMENT_MAX_AGE_MS: '1000' } });
}

/** Starts a command that runs on, and gives what it said up to `ready`. */
async function started(
  name: string,
  ready: string,
  ...args: readonly string[]
): Promise<{ readonly said: string; readonly child: ChildProcess }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: join(folder.path, name),
    env: { ...process.env, LINEPROOF_SEGMENT_MAX_AGE_MS: '1000' },
  });
  running.push(child);
  let said = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    said += String(chunk);
    if (said.includes(ready)) break;
  }
  return { said, child };
}

const line = (text: string): string => `${JSON.stringify({ stream: 'orders', type: 'CREATE', actor: 'shop', attributes: { text } })}\n`;
const at = (...names: readonly string[]): string => join(folder.path, ...names);
const keyText = (name: string, key: string): string => readFileSync(at(name, '.lineproof', 'keys', `${key}.pub`), 'utf8').trim();

async function policyOf(name: string): Promise<Policy> {
  const shown = await inFolder(name)(['policy', 'show', '--embedded', '--json']);
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(shown.stdout);
}

test(
  'two embedded systems name a witness of the other, and both archives are witnessed',
  async () => {
    const names = ['here', 'there'] as const;
    for (const name of names) expect((await inFolder(name)(['emit'], line('first'))).code).toBe(0);
    for (const [i, name] of names.entries()) {
      const other = names[1 - i] as string;
      const asked = ['--log', keyText(name, 'log-0'), '--name', `${other}.example/w`, '--listen', '127.0.0.1:0', '--http-port', '0'];
      const { said } = await started(other, '\n', 'witness', ...asked);
      writeFileSync(at(name, 'our.policy'), `${said.replace(`witness ${other}.example/w`, 'witness w')}quorum w\n`);
    }
    for (const name of names) {
      const run = inFolder(name);
      const terms = ['--witness-required', 'yes', '--witness-deadline-ms', '60000'];
      const published = await run(['policy', 'publish', '--embedded', '--witness-policy', 'our.policy', ...terms]);
      expect([published.code, published.stdout]).toEqual([0, expect.stringContaining('Published version 2')]);
      expect(published.stderr).toBe('lineproof: the next start takes it up by itself; it is in force from the next block on\n');
      expect((await run(['emit'], line('second'))).code).toBe(0);
      expect((await run(['start', '--until-idle'])).code).toBe(0);
      const verified = await run([
        'verify',
        '.lineproof/archive',
        '--key',
        '@.lineproof/keys/root.pub',
        '--witness-policy',
        'our.policy',
        '--json',
      ]);
      const { properties } = JSON.parse(verified.stdout) as Verdict;
      expect([verified.code, properties.WITNESSES.result]).toEqual([0, 'OK']);
      const byPolicy = await run(['verify', '.lineproof/archive', '--key', '@.lineproof/keys/root.pub']);
      expect([byPolicy.code, byPolicy.stdout]).toEqual([0, expect.stringMatching(/WITNESSES {3}OK/)]);
      const shown = await run(['policy', 'show', '--embedded', '--tlog-policy']);
      expect(shown.stdout).toBe(`log ${keyText(name, 'log-0')}\n${readFileSync(at(name, 'our.policy'), 'utf8')}`);
    }
  },
  TIMEOUT_MS,
);

test(
  'a running start takes up authorities that are published beside it',
  async () => {
    const run = inFolder('stamped');
    const openssl = new OpensslAuthority();
    const server = await serveStamps((query) => openssl.reply(query));
    try {
      const { child } = await started('stamped', 'Running', 'start');
      const [root, middle] = [toBase64(openssl.certificate('root')), toBase64(openssl.certificate('middle'))];
      const authorities = [{ name: 'ours', url: server.url, roots: [root], intermediates: [middle], policies: [] }];
      const first = await policyOf('stamped');
      writeFileSync(at('stamped', 'policy.json'), JSON.stringify({ ...first, timestamping: { intervalMs: 1000, authorities } }));
      const dry = await run(['policy', 'publish', '--embedded', 'policy.json', '--dry-run']);
      expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining('Would publish version 2')]);
      const published = await run(['policy', 'publish', '--embedded', 'policy.json']);
      expect(published).toMatchObject({
        code: 0,
        stderr: 'lineproof: the process that works on .lineproof takes it up by itself; it is in force from the next block on\n',
      });
      expect((await run(['emit', '--quiet'], line('stamped'))).code).toBe(0);
      const stamps = at('stamped', '.lineproof/archive/logs/0/timestamps');
      while (!existsSync(stamps) || !readdirSync(stamps).some((name) => name.endsWith('.ours.tsr'))) {
        expect((await run(['policy', 'show', '--embedded'])).stdout).toContain('version    2');
      }
      await ended(child);
      const verified = await run(['verify', '.lineproof/archive', '--key', '@.lineproof/keys/root.pub', '--json']);
      const { properties } = JSON.parse(verified.stdout) as Verdict;
      expect([verified.code, properties.TIME]).toEqual([0, expect.objectContaining({ result: 'OK' })]);
    } finally {
      await server.close();
      openssl.close();
    }
  },
  TIMEOUT_MS,
);

test(
  'a key of the collector is replaced by another one',
  async () => {
    const run = inFolder('replaced');
    expect((await run(['emit'], line('by the first key'))).code).toBe(0);
    expect((await run(['policy', 'publish', '--embedded', '--producer', 'collector2'])).code).toBe(0);
    const old = keyText('replaced', 'collector');
    for (const end of ['key', 'pub'])
      renameSync(at('replaced', '.lineproof/keys', `collector2.${end}`), at('replaced', '.lineproof/keys', `collector.${end}`));
    expect((await run(['emit'], line('by the second key'))).code).toBe(0);
    const second = await policyOf('replaced');
    const producers = second.producers.map((each) => (each.key === old ? { ...each, status: 'RETIRED' } : each));
    writeFileSync(at('replaced', 'policy.json'), JSON.stringify({ ...second, producers }));
    const published = await run(['policy', 'publish', '--embedded', 'policy.json']);
    expect([published.code, published.stdout]).toEqual([0, expect.stringContaining('status: "ACTIVE" -> "RETIRED"')]);
    expect((await run(['emit'], line('and once more'))).code).toBe(0);
    expect((await run(['start', '--until-idle', '--verify'])).code).toBe(0);
    expect((await run(['query', '.lineproof/archive', '--json'])).stdout).toMatch(
      /by the first key[\s\S]*by the second key[\s\S]*and once more/,
    );
  },
  TIMEOUT_MS,
);

test(
  'what cannot be shown or published says why, and changes nothing',
  async () => {
    const run = inFolder('mistakes');
    const publish = (...args: readonly string[]): Promise<CommandResult> => run(['policy', 'publish', '--embedded', ...args]);
    for (const action of ['show', 'publish']) {
      const { code, stderr } = await run(['policy', action, '--embedded', '--data', 'nowhere']);
      expect([code, stderr]).toEqual([
        expect.any(Number),
        expect.stringMatching(/^lineproof: cannot read the policy of nowhere: it is not the data folder.*lineproof start.*NOT_FOUND/),
      ]);
    }
    expect(existsSync(at('mistakes', 'nowhere'))).toBe(false);
    expect((await run(['emit'], line('one'))).code).toBe(0);
    expect((await run(['emit', '--data', 'other'], line('one'))).code).toBe(0);
    const first = await policyOf('mistakes');
    writeFileSync(at('mistakes', 'other.json'), (await run(['policy', 'show', '--embedded', '--data', 'other', '--json'])).stdout);
    expect(await publish('other.json')).toMatchObject({
      code: 78,
      stderr: expect.stringMatching(/it is of origin local\/.*, and this is the log local\//),
    });
    expect(await publish('--segment-max-age-ms', '5000', '--sign-with', 'other/keys/root.key')).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('0 of 1 needed root keys signed it'),
    });
    expect(await run(['policy', 'show', '--embedded', '--root-key', 'other/keys/root.pub'])).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('no first policy of the pinned root key; restore log and keys'),
    });
    expect(await run(['policy', 'init', '--embedded'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('lineproof start makes'),
    });
    expect(await publish('--keys', 'other/keys')).toMatchObject({ code: 2, stderr: expect.stringContaining('--keys is for a cluster') });
    expect(await publish()).toMatchObject({ code: 0, stderr: expect.stringContaining('nothing to publish: version 1') });
    expect(await policyOf('mistakes')).toEqual(first);
  },
  TIMEOUT_MS,
);

test(
  'a folder that a process of another machine may hold is read, and nothing is appended to it',
  async () => {
    const run = inFolder('elsewhere');
    expect((await run(['emit'], line('one'))).code).toBe(0);
    const { child } = await started('elsewhere', 'Running', 'start');
    const lock = JSON.parse(readFileSync(at('elsewhere/.lineproof/lock'), 'utf8'));
    await ended(child);
    const foreign = { ...lock, fileSystem: 'linux:6969', boot: 'another', pid: 1, socket: '', noSocket: 'EROFS' };
    writeFileSync(at('elsewhere/.lineproof/lock'), `${JSON.stringify(foreign)}\n`);
    const refused = await run(['policy', 'publish', '--embedded', '--segment-max-age-ms', '5000']);
    expect([refused.code, refused.stderr]).toEqual([74, expect.stringContaining('DATA_IN_USE')]);
    expect((await policyOf('elsewhere')).version).toBe(1);
  },
  TIMEOUT_MS,
);
