// A service that only spools, for tests that kill it or fill its disk. Arguments: what to do, the spool's folder, where to leave a copy.
import { cpSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Collector } from '../../collector/collector.ts';
import { hasCode } from '../../core/base/errors.ts';
import { formatUuid } from '../../core/formats/identity.ts';
import { event, openOn } from '../support/collector.ts';
import { listen } from '../support/memory-log.ts';

const [act, spool = '', copy = ''] = process.argv.slice(2);
const say = (line: string): void => void writeSync(1, `${line}\n`);
const facets = [{ name: 'f', schemaUrl: '', json: 'x'.repeat(4000) }];

/** Says the id once it is on disk, or the code of what went wrong. */
async function recordDurably(collector: Collector, number: number): Promise<boolean> {
  try {
    say(`durable ${formatUuid(await collector.recordDurably(event(number, { facets })))}`);
    return true;
  } catch (error) {
    say(`failed ${hasCode(error, 'DISK_FULL') ? 'DISK_FULL' : String(error)}`);
    return false;
  }
}

async function untilKilled(): Promise<void> {
  const collector = await openOn(null, spool);
  for (let i = 0; ; i++) await recordDurably(collector, i);
}

/** The disk is a small separate one: fills it, sees the spool refused, makes room, and goes on. */
async function onFullDisk(): Promise<void> {
  const [filler, rest] = ['filler', 'rest'].map((name) => join(dirname(spool), name)) as [string, string];
  const fill = (path: string): void => {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(4096), { flag: 'a' });
    } catch {
      // Full.
    }
  };
  fill(rest);
  const refused = await openOn(null, spool).catch((error: unknown) => error);
  say(`open ${hasCode(refused, 'DISK_FULL') ? 'DISK_FULL' : String(refused)}`);
  rmSync(rest);
  writeFileSync(filler, Buffer.alloc(300_000));
  const heard = listen();
  const collector = await openOn(null, spool, { logger: heard.logger });
  let number = 0;
  while (await recordDurably(collector, number)) number++;
  await recordDurably(collector, ++number);
  say(`logged ${String(heard.lines.includes('error DISK_FULL'))}`);
  rmSync(filler);
  let refusals = 0;
  while (!(await recordDurably(collector, ++number))) if (++refusals > 20) break;
  await recordDurably(collector, ++number);
  await collector.close();
  cpSync(spool, copy, { recursive: true });
}

await (act === 'full' ? onFullDisk() : untilKilled());
