import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { ZSTDDecoder } from 'zstddec';
import { LineproofError, messageOf } from '../../core/base/errors.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { unlz4 } from './lz4.ts';
import { unsnappy } from './snappy.ts';
import { Unreadable } from './unreadable.ts';
import { checkZstdBlocks } from './zstd-blocks.ts';

const unzip = promisify(gunzip);
/** What zlib says of bytes that nobody can unpack. Anything else, such as memory that it did not get, judges nothing. */
const ZLIB_VERDICTS = new Set(['Z_DATA_ERROR', 'Z_BUF_ERROR', 'Z_NEED_DICT', 'ERR_BUFFER_TOO_LARGE']);
/** A zstd frame (RFC 8878) of one plain block of one byte. */
const SMALL_FRAME = Buffer.from('28b52ffd200109000078', 'hex');

/**
 * Unpacks the records section of a record batch; `codec` is a number of KIP-98. The same code does it on every Node: what is unreadable must not
 * depend on the runtime. It takes memory for LIMITS.recordBatchBytes at most, whatever the section declares. Throws {@link Unreadable}.
 */
export async function unpackRecords(codec: number, stored: Buffer): Promise<Buffer> {
  if (stored.length > LIMITS.recordBatchBytes) throw new Unreadable('the stored size is above the limit');
  switch (codec) {
    case 0:
      return stored;
    case 1:
      return ungzip(stored);
    case 2:
      return unsnappy(stored);
    case 3:
      return unlz4(stored);
    case 4:
      return unzstd(stored);
    default:
      throw new Unreadable(`compression ${codec} is not known`);
  }
}

/** Off the event loop. */
async function ungzip(stored: Buffer): Promise<Buffer> {
  try {
    return await unzip(stored, { maxOutputLength: LIMITS.recordBatchBytes });
  } catch (error) {
    if (ZLIB_VERDICTS.has((error as NodeJS.ErrnoException).code ?? '')) throw new Unreadable(messageOf(error));
    throw new LineproofError('UNAVAILABLE', `cannot unpack gzip: ${messageOf(error)}`, {}, error);
  }
}

let zstd: Promise<ZSTDDecoder> | undefined;

/** Zstandard's own decoder, as WebAssembly. It writes into memory of a fixed size, so the window that a frame declares costs nothing. */
async function unzstd(stored: Buffer): Promise<Buffer> {
  checkZstdBlocks(stored);
  zstd ??= openZstd();
  const decoder = await zstd.catch((error: unknown) => {
    zstd = undefined;
    throw error;
  });
  const unpacked = decoder.decode(stored, LIMITS.recordBatchBytes);
  // The library answers a failure of the decoder with nothing, which no batch with records is.
  if (unpacked.length === 0) {
    mustWork(decoder);
    throw new Unreadable('the zstd decoder refuses it');
  }
  return Buffer.from(unpacked.buffer, unpacked.byteOffset, unpacked.length);
}

async function openZstd(): Promise<ZSTDDecoder> {
  if (!('WebAssembly' in globalThis))
    throw new LineproofError('CONFIG_INVALID', 'cannot unpack zstd: Node runs without WebAssembly; remove --jitless from its options');
  const decoder = new ZSTDDecoder();
  try {
    await decoder.init();
  } catch (error) {
    throw new LineproofError('UNAVAILABLE', `cannot unpack zstd: its decoder does not start: ${messageOf(error)}`, {}, error);
  }
  mustWork(decoder);
  return decoder;
}

/** Throws UNAVAILABLE if the decoder has no memory for a section and its unpacked records, so that this is not mistaken for a broken section. */
function mustWork(decoder: ZSTDDecoder): void {
  if (decoder.decode(SMALL_FRAME, 2 * LIMITS.recordBatchBytes).length !== 1)
    throw new LineproofError('UNAVAILABLE', 'cannot unpack zstd: its decoder does not work; the process may lack memory');
}
