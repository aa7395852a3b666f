import { openToxiproxy, type Toxic, whileCut } from '../support/toxiproxy.ts';
import type { Preparation } from './preparation.ts';
import type { Scene } from './scene.ts';
import { BROKERS } from './servers.ts';
import type { World } from './world.ts';

/** What is sent, and what is answered, comes later. */
const DELAY: Toxic = { type: 'latency', stream: 'downstream', attributes: { latency: 1_000, jitter: 500 } };
/** Connections stay open, and nothing is answered. */
const SILENCE: Toxic = { type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } };
/** Nothing is heard of what is asked, and connections stay open. */
const DEAFNESS: Toxic = { type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } };

/** A proxy between all of our processes and each kind of server. */
export const LINK_SCENES: readonly Scene[] = [
  linkScene('link-kafka', 'Kafka', BROKERS),
  linkScene('link-redis', 'Redis', ['redis']),
  linkScene('link-s3', 'S3', ['s3']),
  linkScene('link-registry', 'the registry', ['registry']),
  {
    name: 'link-one-broker',
    says: 'one of three brokers stays reachable for the others, and falls silent for all of our processes for 30 s',
    prepare: async ({ stack }) => behindProxies(stack),
    act: (world) => during(world, [world.random.pick(BROKERS)], SILENCE, () => world.lasting(30_000, 15_000)),
  },
];

function linkScene(name: string, server: string, proxies: readonly string[]): Scene {
  return {
    name,
    says: `every connection to ${server} answers 0.5 to 1.5 s late for 30 s, is cut every 2 s for 30 s, is silent for 30 s, and carries no request for 30 s`,
    prepare: async ({ stack }) => behindProxies(stack),
    act: async (world) => {
      await during(world, proxies, DELAY, () => world.lasting(30_000, 8_000));
      const end = performance.now() + world.ms(30_000, 8_000);
      while (performance.now() < end) {
        await cut(world, proxies, () => world.lasting(500, 500));
        await world.lasting(1_500, 1_500);
      }
      for (const toxic of [SILENCE, DEAFNESS]) await during(world, proxies, toxic, () => world.lasting(30_000, 15_000));
    },
  };
}

function behindProxies({ settings }: World['stack']): Preparation {
  const { kafka, redis, registry, s3 } = settings.toxiproxy;
  return {
    env: {
      LINEPROOF_KAFKA_BROKERS: kafka.brokers.join(','),
      LINEPROOF_REDIS_URL: redis.url,
      LINEPROOF_REGISTRY_URL: registry.url,
      LINEPROOF_S3_ENDPOINT: s3.endpoint,
    },
  };
}

function during(world: World, proxies: readonly string[], toxic: Toxic, act: () => Promise<void>): Promise<void> {
  const { url } = world.stack.settings.toxiproxy;
  return proxies.reduce((inner, name) => () => openToxiproxy(url, name).during(toxic, inner), act)();
}

function cut(world: World, proxies: readonly string[], act: () => Promise<void>): Promise<void> {
  const { url } = world.stack.settings.toxiproxy;
  return proxies.reduce((inner, name) => () => whileCut(url, name, inner), act)();
}
