import { openLmdbLog } from '../../adapters/lmdb-log.ts';
import { systemClock } from '../../adapters/system-clock.ts';

/** Appends numbered records to a log that another process has open, tells each that is durable, and ends after `count` or when it is killed. */
const [folder = '', name = '', count = '0'] = process.argv.slice(2);
const log = await openLmdbLog(folder, { clock: systemClock });
for (let i = 0; i < Number(count); i++) {
  await log.append('shared', 0, [{ key: null, value: Buffer.from(`${name} ${i}`) }]);
  process.stdout.write(`durable ${name} ${i}\n`);
}
await log.close();
