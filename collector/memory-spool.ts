import { LineproofError } from '../core/base/errors.ts';
import type { Place, Spool } from './spool.ts';
import { RECORD_HEADER_BYTES } from './spool-record.ts';

/** For services without a disk: what was recorded and not acknowledged is gone when the process ends. */
export class MemorySpool implements Spool {
  bytes = 0;
  readonly unwritten = 0;

  append(_kind: number, head: Uint8Array, payload: Uint8Array, live: boolean): Place {
    if (live) this.bytes += RECORD_HEADER_BYTES + head.length + payload.length;
    return { chunk: { segment: undefined, base: head.length, live: 0 }, at: 0, length: payload.length };
  }

  async durable(): Promise<void> {}

  async settled(): Promise<void> {}

  interrupt(): void {}

  read(): Promise<Uint8Array> {
    return Promise.reject(new LineproofError('INTERNAL', 'cannot read from a spool in memory'));
  }

  release({ chunk, length }: Place): void {
    this.bytes -= RECORD_HEADER_BYTES + chunk.base + length;
  }

  releaseFrom(): void {}

  async close(): Promise<void> {}
}
