import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeRepository, ROOT, runProgram, temporaryFolder } from '../support/command.ts';
import { brokenLinks, missingDocuments } from '../support/documents.ts';
import { nodes } from '../support/nodes.ts';

const TIMEOUT_MS = 240_000;
const folder = temporaryFolder('package');
const repository = join(folder.path, 'repository');
const bin = join(folder.path, 'node_modules', 'lineproof', 'dist', 'cli', 'main.js');

beforeAll(async () => {
  const packed = await runProgram('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder.path], { cwd: ROOT });
  expect(packed).toMatchObject({ code: 0 });
  const tarball = join(folder.path, packed.stdout.trim().split('\n').at(-1) as string);
  writeFileSync(join(folder.path, 'package.json'), JSON.stringify({ name: 'somebody-else', private: true }));
  const installed = await runProgram('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], { cwd: folder.path });
  expect(installed).toMatchObject({ code: 0 });
  const { mkdir } = await import('node:fs/promises');
  await mkdir(repository);
  await makeRepository(repository, 3);
}, TIMEOUT_MS);

afterAll(() => folder.release());

describe('the packed package, installed somewhere else', () => {
  test(
    'its command collects and verifies on every Node at hand',
    async () => {
      for (const node of nodes()) {
        const data = join(folder.path, `data-${nodes().indexOf(node)}`);
        const args = [
          bin,
          'start',
          '--collect',
          'git',
          repository,
          '--until-idle',
          '--verify',
          '--data',
          data,
          '--segment-max-age-ms',
          '1000',
        ];
        const { code, stdout, stderr } = await runProgram(node, args, { cwd: folder.path });
        expect({ node, code, stdout, stderr }).toMatchObject({ code: 0, stdout: expect.stringContaining('VERDICT') });
      }
    },
    TIMEOUT_MS,
  );

  test.each([
    ['import', 'module', "import { createCollector } from 'lineproof'; console.log(typeof createCollector);"],
    ['require', 'commonjs', "console.log(typeof require('lineproof').createCollector);"],
    ['import of the entry for Kafka', 'module', "import { connectKafka } from 'lineproof/kafka'; console.log(typeof connectKafka);"],
    ['import of the embedded system', 'module', "import { openEmbedded } from 'lineproof/embedded'; console.log(typeof openEmbedded);"],
  ])(
    'its library loads with %s',
    async (_, type, source) => {
      for (const node of nodes()) {
        const { stdout, stderr } = await runProgram(node, [`--input-type=${type}`, '-e', source], { cwd: folder.path });
        expect({ node, stdout: stdout.trim(), stderr }).toEqual({ node, stdout: 'function', stderr: '' });
      }
    },
    TIMEOUT_MS,
  );

  test('it brings no tests, sources or tools, but its licence, README and schemas', () => {
    for (const path of ['test', 'core/acceptance/accept.ts', 'bench', 'infra/stack', 'dist/bench', 'dist/infra', 'dist/test'])
      expect(existsSync(join(folder.path, 'node_modules', 'lineproof', path))).toBe(false);
    for (const path of ['LICENSE', 'README.md', 'dist/schemas/event.avsc', 'infra/monitoring/lineproof.rules.yaml'])
      expect([path, existsSync(join(folder.path, 'node_modules', 'lineproof', path))]).toEqual([path, true]);
  });

  test('it has every document that its documents and messages point to, and no source maps', () => {
    const own = join(folder.path, 'node_modules', 'lineproof');
    expect(brokenLinks(own)).toEqual([]);
    expect(missingDocuments(own, 'dist')).toEqual([]);
    const maps = readdirSync(join(own, 'dist'), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.map'));
    expect(maps).toEqual([]);
  });
});
