import { TOPICS } from '../../core/ports/log.ts';
import { until } from '../support/cluster.ts';
import { electPreferredLeaders } from '../support/raw-kafka.ts';
import type { Scene } from './scene.ts';
import { BROKERS } from './servers.ts';
import type { World } from './world.ts';

/** Faults of the brokers. */
export const BROKER_SCENES: readonly Scene[] = [
  {
    name: 'leader-killed',
    says: 'the broker that leads a partition of the input is killed with −9, and started again 15 s later',
    act: async (world) => {
      const { servers, cluster, random } = world;
      await servers.kill(await servers.leader(cluster.topicPrefix + TOPICS.events, random.below(cluster.shards)));
      void world.healed();
      await world.lasting(15_000, 5_000);
      await servers.up();
    },
  },
  {
    name: 'brokers-restarted',
    says: 'all three brokers are killed with −9 at once, and started again 10 s later',
    act: async (world) => {
      await world.servers.kill(...BROKERS);
      await world.lasting(10_000, 3_000);
      await world.servers.up();
    },
  },
  {
    name: 'rolling-restarts',
    says: 'for ten minutes a broker is ended with SIGTERM and started again every 90 s, one after the other',
    act: async (world) => {
      const end = performance.now() + world.ms(600_000, 60_000);
      for (let i = 0; performance.now() < end; i++) {
        const begun = performance.now();
        const broker = BROKERS[i % BROKERS.length] as string;
        world.say(`${broker} restarts`);
        await world.servers.stop(broker);
        await world.servers.up();
        const every = world.ms(90_000, 20_000);
        await until('it is time for the next', () => performance.now() > Math.min(begun + every, end));
      }
    },
  },
  {
    name: 'coordinator-back',
    says: 'the broker that coordinates the chainers is killed with −9 and started again, and takes the group back by an election of preferred leaders, twice',
    act: async (world) => {
      for (let i = 0; i < 2; i++) await moveCoordinator(world);
    },
  },
];

/** Kills the coordinator of the chainers, and lets it coordinate them again. */
async function moveCoordinator(world: World): Promise<void> {
  const { servers, cluster, stack } = world;
  const group = `${cluster.topicPrefix}lineproof-chainer`;
  const first = await servers.coordinator(group);
  const other = BROKERS.find((name) => name !== first) as (typeof BROKERS)[number];
  await servers.kill(first);
  await until('another broker coordinates', async () => {
    const found = await servers.coordinator(group).catch(() => first);
    return found !== first && found !== 'kafka--1';
  });
  await world.lasting(10_000, 3_000);
  await servers.up();
  const broker = stack.settings.kafka.brokers[BROKERS.indexOf(other)] as string;
  await until('the first coordinates again', async () => {
    await electPreferredLeaders(broker).catch(() => undefined);
    return (await servers.coordinator(group).catch(() => '')) === first;
  });
  world.say(`${first} coordinates the chainers again`);
  await world.lasting(10_000, 5_000);
}
