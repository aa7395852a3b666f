import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { formatPrivateKey } from '../../core/keys/key.ts';
import { ROOT, runProgram, temporaryFolder } from '../support/command.ts';
import { brokenLinks, missingDocuments } from '../support/documents.ts';
import { nodes } from '../support/nodes.ts';

const TIMEOUT_MS = 240_000;
const MAX_BYTES = 15 * 1024 * 1024;
const MAX_PACKAGES = 30;
const folder = temporaryFolder('sdk-package');
const installed = join(folder.path, 'node_modules');
const own = join(installed, 'lineproof-sdk');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> };
const seed = new Uint8Array(32).fill(7);

/** A service that records one event into a spool, in the module system that `load` is of. */
function service(load: string): string {
  return `${load}
async function main(): Promise<void> {
  const { name, seed } = parsePrivateKey(${JSON.stringify(formatPrivateKey('orders', seed))});
  const options: CreateCollectorOptions = { origin: 'outside.example', shards: 2, signer: keySigner(name, seed), log: null, spool: { folder: process.argv[2]! } };
  const collector = await createCollector(options);
  const id: string = await collector.recordDurably(created({ stream: 'datasets/orders', actor: 'importer', outputs: ['orders.csv'] }));
  console.log(id.length, collector.stats.recorded, typeof connectKafka);
  await collector.close();
}
void main();
`;
}

const NAMES = 'createCollector, type CreateCollectorOptions, created, keySigner, parsePrivateKey';
const PROJECTS = [
  ['NodeNext', 'module', `import { ${NAMES} } from 'lineproof-sdk';\nimport { connectKafka } from 'lineproof-sdk/kafka';`, 'nodenext'],
  ['CommonJS', 'commonjs', `import { ${NAMES} } from 'lineproof-sdk';\nimport { connectKafka } from 'lineproof-sdk/kafka';`, 'nodenext'],
] as const;

/** Folders of all installed packages. */
function packages(below: string): string[] {
  if (!existsSync(below)) return [];
  return readdirSync(below, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .flatMap(({ name }) => {
      const path = join(below, name);
      return name.startsWith('@') ? packages(path) : [path, ...packages(join(path, 'node_modules'))];
    });
}

/** What a folder takes on the disk, in blocks as `du` counts them. */
function bytesBelow(path: string): number {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((each) => lstatSync(join(path, each)))
    .reduce((sum, { blocks }) => sum + blocks * 512, 0);
}

beforeAll(async () => {
  const packed = await runProgram('npm', ['pack', '--silent', '--pack-destination', folder.path, join(ROOT, 'dist/sdk-package')], {
    cwd: ROOT,
  });
  expect(packed).toMatchObject({ code: 0 });
  const tarball = join(folder.path, packed.stdout.trim().split('\n').at(-1) as string);
  writeFileSync(join(folder.path, 'package.json'), JSON.stringify({ name: 'a-service', private: true }));
  const install = await runProgram('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], { cwd: folder.path });
  expect(install).toMatchObject({ code: 0 });
}, TIMEOUT_MS);

/** A project in TypeScript has the types of Node itself. */
async function installTypes(): Promise<void> {
  const args = [
    'install',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--save-dev',
    `@types/node@${manifest.devDependencies['@types/node']}`,
  ];
  expect(await runProgram('npm', args, { cwd: folder.path })).toMatchObject({ code: 0 });
}

afterAll(() => folder.release());

describe('the SDK package, installed in a service', () => {
  test(`takes less than ${MAX_BYTES / 1024 / 1024} MB and ${MAX_PACKAGES} packages`, () => {
    const [bytes, count] = [bytesBelow(installed), packages(installed).length];
    process.stderr.write(
      `lineproof-sdk: ${(bytes / 1e6).toFixed(1)} MB in ${count} packages, its own share ${Math.round(bytesBelow(own) / 1e3)} kB\n`,
    );
    expect(bytes).toBeLessThan(MAX_BYTES);
    expect(count).toBeLessThan(MAX_PACKAGES);
  });

  test('brings no object storage, no LMDB, no Redis, no command', () => {
    const names = packages(installed).map((path) => path.slice(installed.length + 1));
    expect(names.filter((name) => /aws|smithy|lmdb|ioredis|pino|prom-client/.test(name))).toEqual([]);
    const { bin, scripts } = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'));
    expect([bin, scripts]).toEqual([undefined, undefined]);
    for (const path of ['cli', 'chainer', 'archiver', 'auditor/verify.js', 'adapters/s3-object-store.js'])
      expect(existsSync(join(own, path))).toBe(false);
  });

  test('has every document that its documents and messages point to', () => {
    expect(brokenLinks(own)).toEqual([]);
    expect(missingDocuments(own, '.')).toEqual([]);
  });

  test('has the registry client of the library, byte for byte, with its licence', () => {
    const vendored = join(own, 'vendor', 'confluent-schema-registry');
    const library = join(ROOT, 'node_modules', '@kafkajs', 'confluent-schema-registry');
    const files = readdirSync(vendored, { recursive: true, encoding: 'utf8' }).filter((path) => /\.js$|LICENSE$/.test(path));
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'dist/api/index.js']));
    const withoutMap = (path: string): string => readFileSync(path, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
    for (const path of files) expect(readFileSync(join(vendored, path), 'utf8')).toBe(withoutMap(join(library, path)));
  });

  test.each(PROJECTS)(
    'compiles and records in a project of %s, on every Node at hand',
    async (name, type, load, module) => {
      await installTypes();
      const project = join(folder.path, name);
      mkdirSync(project);
      writeFileSync(join(project, 'package.json'), JSON.stringify({ name: name.toLowerCase(), type, private: true }));
      writeFileSync(join(project, 'service.ts'), service(load));
      const strict = ['--strict', '--skipLibCheck', 'false', '--module', module, '--target', 'es2023', '--types', 'node'];
      const compiled = await runProgram(join(ROOT, 'node_modules', '.bin', 'tsc'), [...strict, 'service.ts'], { cwd: project });
      expect([compiled.stdout, compiled.code]).toEqual(['', 0]);
      for (const [i, node] of nodes().entries()) {
        const ran = await runProgram(node, ['service.js', join(project, `spool-${i}`)], { cwd: project });
        expect({ node, stdout: ran.stdout, stderr: ran.stderr }).toEqual({ node, stdout: '36 1 function\n', stderr: '' });
      }
    },
    TIMEOUT_MS,
  );
});
