import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Names the folders in which this run's stacks will lie. Nothing is started: the first suite that asks for a stack does that. */
export default function nameStackFolders() {
  process.env.LINEPROOF_TEST_STACKS = stackPrefix(process.pid);
}

/** What the folders of the stacks begin with that a run of tests, by its process, starts. */
export function stackPrefix(pid) {
  return join(tmpdir(), `lineproof-stack-${pid}-`);
}
