// A process that locks folders. It reads its orders line by line, and answers each with one line. It keeps its locks until an order or a kill ends them.
// Runs the built code: the compiler that runs the sources in other tests needs /proc.
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openFolderObjectStore } from '../../dist/adapters/folder-object-store.js';
import { takeFileLock } from '../../dist/platform/file-lock.js';
import { enter, leave } from '../support/inside.js';

const held = new Map();
const DECIMAL = /^\d+$/;
const PATIENCE_MS = 30_000;

const take = (folder, patienceMs = 0) =>
  takeFileLock({ folder, name: 'lock', subject: `folder ${folder}`, otherwise: 'take another folder', patienceMs });

async function takeAndSay(folder) {
  try {
    held.set(folder, await take(folder));
    return 'taken';
  } catch (error) {
    return error.code === 'DATA_IN_USE' ? `refused ${error.message}` : `failed ${String(error)}`;
  }
}

/** How many of so many tries were refused because the owner is known to live. */
async function takeOften(folder, times) {
  let refused = 0;
  for (let i = 0; i < times; i++) if ((await takeAndSay(folder)).includes('it is in use by process')) refused++;
  return `refused ${refused}`;
}

async function giveFree(folder) {
  await held.get(folder)?.release();
  return 'free';
}

/** Takes the lock again and again, as soon as the others let it; half of the times it leaves a dead one. Says how often it was not alone. */
async function storm(folder, times) {
  let together = 0;
  for (let i = 0; i < times; i++) {
    const lock = await take(folder, PATIENCE_MS);
    const alone = enter(folder);
    await new Promise((resolve) => void setImmediate(resolve));
    if (!leave(folder) || !alone) together++;
    if (i % 2 === 0) await lock.release();
    else await leaveDead(folder, lock);
  }
  return `together ${together}`;
}

/** As if this process had died: the lock and its socket stay, and nobody listens. */
async function leaveDead(folder, lock) {
  const text = readFileSync(join(folder, 'lock'), 'utf8');
  const socket = join(folder, JSON.parse(text).socket);
  const [kept, aside] = [`${socket}.kept`, join(folder, `${process.pid}.aside`)];
  writeFileSync(aside, text);
  linkSync(socket, kept);
  await lock.release();
  linkSync(kept, socket);
  try {
    linkSync(aside, join(folder, 'lock'));
  } catch {
    // Somebody was there first.
  }
  for (const path of [kept, aside]) rmSync(path);
}

/** Adds to a number that an object holds, as the archiver replaces a note: only what nobody changed meanwhile. */
async function count(folder, times) {
  const store = await openFolderObjectStore(folder);
  for (let added = 0; added < times; ) {
    const found = await store.get('number');
    const text = found === undefined ? '0' : Buffer.from(found.bytes).toString();
    if (!DECIMAL.test(text)) return `torn ${text}`;
    if ((await store.replace('number', Buffer.from(String(Number(text) + 1)), found?.etag)) !== undefined) added++;
  }
  await store.close();
  return 'counted';
}

for await (const line of createInterface({ input: process.stdin })) {
  const [act, folder, times] = JSON.parse(line);
  process.stdout.write(`${await { take: takeAndSay, takeOften, free: giveFree, storm, count }[act](folder, times)}\n`);
}
