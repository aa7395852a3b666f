import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { lineproof, makeRepository, temporaryFolder } from '../support/command.ts';
import { testSigner } from '../support/producer.ts';

/** A folder as it may be unpacked from a stranger's mail, and an honest archive beside it. */
const hostile = temporaryFolder('hostile-cwd');
const honest = temporaryFolder('honest');
const archive = join(honest.path, '.lineproof', 'archive');
const TIMEOUT_MS = 120_000;
const THIEF = testSigner('local/root', 'thief').verifierKey;
const marker = join(hostile.path, 'owned');

function plant(name: string, content: string): void {
  mkdirSync(dirname(join(hostile.path, name)), { recursive: true });
  writeFileSync(join(hostile.path, name), content);
}

/** A server that answers nothing useful, in the place of S3, the registry and everything else. */
let server: Server;
let url: string;

beforeAll(async () => {
  await makeRepository(honest.path, 2);
  const start = ['start', '--collect', 'git', '.', '--until-idle', '--segment-max-age-ms', '1000'];
  expect(await lineproof(start, { cwd: honest.path })).toMatchObject({ code: 0 });
  server = createServer((_, response) => response.writeHead(404).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}, TIMEOUT_MS);

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  hostile.release();
  honest.release();
});

beforeEach(() => {
  rmSync(marker, { force: true });
  const touch = `command:touch ${marker}`;
  const config = JSON.stringify({ kafkaPassword: touch, registryPassword: touch, redisUrl: touch, s3Endpoint: 'http://127.0.0.1:1' });
  for (const name of ['.lineproof/config.json', 'config.json']) plant(name, config);
  plant('.lineproof/keys/root.pub', 'not a key, and never read');
  plant('.env', `NODE_OPTIONS=--require=${join(hostile.path, 'own.cjs')}\nLINEPROOF_REDIS_URL=${touch}\n`);
  plant('own.cjs', `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`);
  plant('package.json', '{"name": "lineproof", "version": "6.6.6", "type": "commonjs"}');
  for (const name of ['lineproof', 'avsc', '@noble/hashes', '@aws-sdk/client-s3', 'kafkajs', 'pino', 'lmdb']) {
    plant(`node_modules/${name}/package.json`, `{"name": "${name}", "version": "6.6.6", "main": "index.js"}`);
    plant(`node_modules/${name}/index.js`, `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`);
  }
});

/** Servers that refuse at once, so that a command ends as soon as it asks one. */
const servers = (): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: 'x',
  AWS_SECRET_ACCESS_KEY: 'x',
  LINEPROOF_S3_ENDPOINT: url,
  LINEPROOF_S3_PATH_STYLE: 'on',
  LINEPROOF_REGISTRY_URL: url,
  LINEPROOF_KAFKA_BROKERS: '127.0.0.1:1',
});

describe('a folder that somebody else prepared', () => {
  test.each([
    ['verify', 's3://bucket/prefix', '--key', THIEF],
    ['query', 's3://bucket/prefix'],
    ['status'],
    ['config', '--cluster'],
    ['config'],
    ['topics', 'check'],
    ['policy', 'show'],
    ['rejected', 'list'],
    ['--version'],
  ])(
    'nothing in it runs, or is a setting or key, for %s %s',
    async (...args) => {
      const { code, stdout, stderr } = await lineproof(args, { cwd: hostile.path, env: servers() });
      expect([existsSync(marker), code === 70]).toEqual([false, false]);
      expect(`${stdout}${stderr}`).not.toMatch(/6\.6\.6|cannot use the root key|127\.0\.0\.1:1\/|this is a bug/);
      // Settings of servers were loaded, and a file was passed over: that is said.
      if (!['--version', 'config'].includes(args.join(' '))) expect(stderr).toContain('.lineproof/config.json is not used');
    },
    TIMEOUT_MS,
  );

  test(
    'the same file is used where it, or its folder, is named',
    async () => {
      plant('own/config.json', JSON.stringify({ redisUrl: `command:touch ${marker}; echo redis://x` }));
      for (const options of [
        ['--config', 'own/config.json'],
        ['--data', 'own'],
      ]) {
        const { code, stderr } = await lineproof(['config', '--cluster', ...options], { cwd: hostile.path });
        expect([code, stderr.includes('not used'), existsSync(marker)]).toEqual([0, false, true]);
        rmSync(marker);
      }
    },
    TIMEOUT_MS,
  );

  test(
    'a file that is named like the pinned key is not the key: an archive of somebody else stays FAILED',
    async () => {
      const root = readFileSync(join(honest.path, '.lineproof', 'keys', 'root.pub'), 'utf8').trim();
      plant(THIEF, root);
      const verdict = await lineproof(['verify', archive, '--key', THIEF], { cwd: hostile.path });
      expect([verdict.code, verdict.stdout]).toEqual([1, expect.stringContaining('KEY_FOREIGN')]);
      // The other way round: the key that was typed counts, whatever the file says.
      plant(root, THIEF);
      expect((await lineproof(['verify', archive, '--key', root], { cwd: hostile.path })).code).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    'a key file inside the archive is refused: it proves nothing',
    async () => {
      const copy = join(hostile.path, 'copy');
      cpSync(archive, copy, { recursive: true });
      cpSync(join(honest.path, '.lineproof', 'keys', 'root.pub'), join(copy, 'root.pub'));
      symlinkSync(join(copy, 'root.pub'), join(hostile.path, 'linked.pub'));
      for (const key of ['copy/root.pub', '@copy/root.pub', 'linked.pub']) {
        const { code, stderr } = await lineproof(['verify', 'copy', '--key', key], { cwd: hostile.path });
        expect([key, code, stderr]).toEqual([key, 2, expect.stringContaining('lies in the archive')]);
      }
    },
    TIMEOUT_MS,
  );
});
