import { fromBase64, toBase64 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';

/** The state of a log that its key signs (C2SP tlog-checkpoint). */
export interface Checkpoint {
  /** `<origin>/<shard>`: also the name of the log key. */
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** Three lines, each ending in a newline; no extension lines. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Reads a checkpoint's text; throws FORMAT_INVALID unless it is spelled as {@link formatCheckpoint} spells it. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', root = ''] = text.split('\n', 3);
  const checkpoint: Checkpoint = { origin, size: /^\d{1,16}$/.test(size) ? Number(size) : -1, root: fromBase64(root) };
  const good = origin !== '' && Number.isSafeInteger(checkpoint.size) && checkpoint.size >= 0 && checkpoint.root.length === 32;
  if (!good || formatCheckpoint(checkpoint) !== text)
    throw new LineproofError('FORMAT_INVALID', 'cannot read checkpoint: it is not origin, size and root in three lines');
  return checkpoint;
}
