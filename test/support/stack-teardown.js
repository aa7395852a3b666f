import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Ends and deletes every stack that a suite of this run started, also those that a failed suite left. */
export default function endStacks() {
  const prefix = process.env.LINEPROOF_TEST_STACKS;
  const folders = readdirSync(dirname(prefix)).filter((name) => name.startsWith(basename(prefix)));
  for (const folder of folders.map((name) => join(dirname(prefix), name))) {
    spawnSync(process.execPath, ['infra/stack/main.js', 'down', '--data', folder], { stdio: ['ignore', 'ignore', 'inherit'] });
    rmSync(folder, { recursive: true, force: true });
  }
}
