import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, StackError } from './stack-error.js';

const PATIENCE_MS = 500;

/**
 * Runs `task` while this process alone holds the lock on `file`. The kernel keeps the lock for a child that ends when its
 * input closes. So the lock is free again however this process ends, and is never stale.
 * @template T
 * @param {string} file
 * @param {() => void} onWait called once when another process holds it
 * @param {() => Promise<T>} task
 * @returns {Promise<T>}
 */
export async function withFileLock(file, onWait, task) {
  mkdirSync(dirname(file), { recursive: true });
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    detached: true, // Ctrl-C reaches this process only, and its clean-up still has the lock
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => holder.once('close', resolve));
  const timer = setTimeout(onWait, PATIENCE_MS);
  try {
    await new Promise((resolve, reject) => {
      holder.stdout.once('data', resolve);
      holder.once('error', reject);
      holder.once('close', () => reject(new Error('flock ended')));
    });
  } catch (error) {
    throw new StackError(`cannot lock ${file}: ${messageOf(error)}; flock is in Debian's util-linux`);
  } finally {
    clearTimeout(timer);
  }
  try {
    return await task();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
