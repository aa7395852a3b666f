/**
 * Loaded into a process before its own code (`--import`): its wall clock differs from the machine's by as many milliseconds as the file says that
 * MOVED_CLOCK_FILE names, read again a hundred times a second. The product knows the time of day by `Date` alone, so this is what a wrong clock is
 * to it; a machine's clock cannot be set in a test, and time-outs, which run on the monotonic clock, stay right as they do there.
 */
import { readFileSync } from 'node:fs';

const file = process.env.MOVED_CLOCK_FILE;
const RealDate = Date;
let movedMs = 0;
read();
setInterval(read, 10).unref();

function read() {
  const text = readFileSync(file, 'utf8');
  // It is empty for an instant while it is written: no time of day that anybody set.
  if (text !== '') movedMs = Number(text);
}

globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length === 0 ? [RealDate.now() + movedMs] : parts));
  }

  static now() {
    return RealDate.now() + movedMs;
  }
};
