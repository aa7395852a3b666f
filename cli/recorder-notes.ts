import { join } from 'node:path';
import type { Recorder } from '../embedded/recorder.ts';

/** What is so if a command fails after its events were recorded: the start of a message that ends with the failure. */
export const NOT_LINKED = 'what was recorded is on disk, and not linked yet; the next start links it';

/** What a person should know of how a command records: that it made keys, and, if there are events, that they are not in the log yet. */
export function describeRecorder({ madeLog, spool }: Recorder, data: string, hasEvents = true): string[] {
  return [
    ...(madeLog === undefined
      ? []
      : [`first start: made keys and a policy in ${data} for the log ${madeLog}; keep ${join(data, 'keys', 'root.key')} safe`]),
    ...(spool === undefined || !hasEvents
      ? []
      : [`${data} is in use: the events go to ${spool}, which its process or the next start takes over`]),
  ];
}
