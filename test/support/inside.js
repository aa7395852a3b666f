import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const markOf = (folder) => join(folder, 'inside');

/** Marks that this process is in a folder in which only one may be; false where another living process is in it. For processes of one PID namespace. */
export function enter(folder) {
  let alone = true;
  try {
    writeFileSync(markOf(folder), String(process.pid), { flag: 'wx' });
  } catch {
    // The mark of a process that was killed in here is nobody.
    alone = !lives(Number(markIn(folder)));
    writeFileSync(markOf(folder), String(process.pid));
  }
  return alone;
}

/** Removes the mark; false where another process has marked the folder meanwhile. */
export function leave(folder) {
  const alone = markIn(folder) === String(process.pid);
  rmSync(markOf(folder), { force: true });
  return alone;
}

function markIn(folder) {
  try {
    return readFileSync(markOf(folder), 'utf8');
  } catch {
    return undefined;
  }
}

/** Not a number: somebody who was here and left in the same moment. */
function lives(pid) {
  if (Number.isNaN(pid)) return true;
  try {
    return pid !== 0 && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
