import type { Scene } from './scene.ts';
import type { World } from './world.ts';

/** Servers that are away. */
export const SERVER_SCENES: readonly Scene[] = [
  {
    name: 's3-away',
    says: 'S3 is killed with −9, and comes back a minute later',
    act: (world) => away(world, ['s3'], world.ms(60_000, 10_000)),
  },
  {
    name: 'registry-away',
    says: 'the registry is killed with −9, a chainer and a producer are killed and started again meanwhile, and it comes back a minute later',
    act: (world) =>
      away(world, ['registry'], world.ms(60_000, 12_000), async () => {
        await world.end('chain-1', 'SIGKILL');
        await world.producers[0]?.kill();
        world.start('chain-1');
        world.producers[0]?.restart();
      }),
  },
  {
    name: 's3-registry-away',
    says: 'S3 and the registry are killed with −9, and come back five minutes later',
    act: (world) => away(world, ['s3', 'registry'], world.ms(300_000, 30_000)),
  },
];

async function away(world: World, names: readonly string[], ms: number, meanwhile?: () => Promise<void>): Promise<void> {
  await world.servers.kill(...names);
  await meanwhile?.();
  await world.lasting(ms, ms);
  await world.servers.up();
}
