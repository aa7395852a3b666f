import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, outcomeOf } from './program.js';
import { OLDEST } from './versions.js';

/** The package to install for a missing program, on Debian and its derivatives. */
const PACKAGES = {
  mvn: 'Maven (apt-get install maven)',
  tar: 'tar (apt-get install tar)',
  flock: 'flock (apt-get install util-linux)',
  openssl: 'OpenSSL (apt-get install openssl)',
  python3: 'Python 3 (apt-get install python3 python3-pip)',
  'dpkg-deb': 'dpkg-deb, which Debian and Ubuntu have; elsewhere install Redis 7 so that redis-server is on the PATH',
  'apt-get': 'apt-get, which Debian and Ubuntu have; elsewhere install Redis 7 so that redis-server is on the PATH',
};

/**
 * Those of `programs` that are not on the PATH, each with how to get it.
 * @param {readonly (keyof typeof PACKAGES)[]} programs
 */
export function missingPrograms(...programs) {
  return programs.filter((name) => findProgram(name) === undefined).map((name) => PACKAGES[name]);
}

/**
 * The machine's Java if it has at least version `oldest`: JAVA_HOME first, then the PATH.
 * @param {number} oldest
 */
export async function findJava(oldest) {
  const home = process.env['JAVA_HOME'];
  const candidates = [home === undefined ? undefined : join(home, 'bin', 'java'), findProgram('java')];
  for (const java of candidates) {
    if (java === undefined || !existsSync(java)) continue;
    const { code, output } = await outcomeOf(java, ['-version']);
    if (code === 0 && Number(/version "(\d+)/.exec(output)?.[1] ?? 0) >= oldest) return java;
  }
  return undefined;
}

/** The machine's Go, if it is new enough for go.mod. */
export async function findGo() {
  const go = findProgram('go');
  if (go === undefined) return undefined;
  const { code, stdout } = await outcomeOf(go, ['env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' } });
  return code === 0 && Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? 0) >= OLDEST.goMinor ? go : undefined;
}

/** The machine's redis-server, if it is new enough. */
export async function findRedis() {
  const redis = findProgram('redis-server');
  if (redis === undefined) return undefined;
  const { code, stdout } = await outcomeOf(redis, ['--version']);
  return code === 0 && Number(/v=(\d+)\./.exec(stdout)?.[1] ?? 0) >= OLDEST.redis ? redis : undefined;
}

/** The missing programs that a download from PyPI needs. */
export async function missingPip() {
  const missing = missingPrograms('python3');
  if (missing.length > 0) return missing;
  const { code } = await outcomeOf('python3', ['-m', 'pip', '--version']);
  return code === 0 ? [] : ['pip (apt-get install python3-pip)'];
}
