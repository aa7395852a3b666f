import { readFileSync, readlinkSync, statfsSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import { errnoOf } from './errno.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const PROC_SUPER_MAGIC = 0x9fa0;
/** Fields of /proc/PID/stat after the name, which may hold any bytes: proc_pid_stat(5) counts them from 3. */
const STATE = 0;
const START_TICKS = 19;

/** Facts that identify a process. A text is empty if the system does not tell. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start in clock ticks after the boot: distinguishes a process from a later one with the same number. */
  readonly started: string;
  /** The PID and time namespaces in which `pid` and `started` mean something. */
  readonly processes: string;
  /** Id of the boot of the kernel. */
  readonly boot: string;
  readonly thread: number;
}

let own: ProcessIdentity | undefined;

/** This process and thread. */
export function thisProcess(): ProcessIdentity {
  own ??= {
    pid: process.pid,
    started: statusOf('self')?.started ?? '',
    processes: processNamespace(),
    boot: bootId(),
    thread: threadId,
  };
  return own;
}

/** State of a process by /proc and the process table. 'dead' is proven; a process that this one cannot see is 'unknown'. */
export function fateOf({ pid, started, processes, boot }: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  const here = thisProcess();
  if (boot === '' || boot !== here.boot || processes === '' || processes !== here.processes) return 'unknown';
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return 'dead';
  }
  const found = statusOf(pid);
  // hidepid and ProtectProc hide processes that live.
  if (found === undefined || started === '') return 'unknown';
  return found.ended || found.started !== started ? 'dead' : 'alive';
}

/** Start and state of a process; a process that ended and was not waited for counts as ended. */
function statusOf(pid: number | 'self'): { readonly started: string; readonly ended: boolean } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const started = fields[START_TICKS];
    return started === undefined ? undefined : { started, ended: 'ZX'.includes(fields[STATE] as string) };
  } catch {
    return undefined;
  }
}

/** Empty also if /proc belongs to another PID namespace than this process: then its numbers mean other processes. */
function processNamespace(): string {
  try {
    const numbers = /^NSpid:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    return numbers === String(process.pid) ? `${readlinkSync('/proc/self/ns/pid')} ${timeNamespace()}` : '';
  } catch {
    return '';
  }
}

/** Kernels before 5.6 have one time namespace for all processes. */
function timeNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/time');
  } catch {
    return 'time:[]';
  }
}

/** Empty if the file is not the kernel's: nspawn and LXC put another file over it in each container of the same machine. */
function bootId(): string {
  try {
    return statfsSync(BOOT_ID).type === PROC_SUPER_MAGIC ? readFileSync(BOOT_ID, 'latin1').trim() : '';
  } catch {
    return '';
  }
}
