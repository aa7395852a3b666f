// A state store on a small disk of its own, for the test that fills it. Argument: the folder of the disk. Says what became of each commit.
import { rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openLmdbStateStore } from '../../adapters/lmdb-state-store.ts';
import { hasCode } from '../../core/base/errors.ts';

const [disk = ''] = process.argv.slice(2);
const filler = join(disk, 'filler');
const state = await openLmdbStateStore(join(disk, 'state'));

function fill(): void {
  for (const bytes of [1 << 20, 1 << 12])
    try {
      for (;;) writeFileSync(filler, new Uint8Array(bytes), { flag: 'a' });
    } catch {
      // Full.
    }
}

async function commit(key: string): Promise<void> {
  const outcome = await state.commit([{ key, value: new Uint8Array(100_000) }]).then(
    () => 'taken',
    (error: unknown) => (hasCode(error, 'DISK_FULL') ? 'DISK_FULL' : String(error)),
  );
  writeSync(1, `${key} ${outcome}\n`);
}

await commit('before');
for (const time of ['first', 'second']) {
  fill();
  for (const each of [1, 2, 3]) await commit(`${time}-${each}`);
  rmSync(filler);
  await commit(`${time}-after`);
}
const kept: string[] = [];
for await (const [key] of state.entries('')) kept.push(key);
writeSync(1, `kept ${kept.join(' ')}\n`);
await state.close();
