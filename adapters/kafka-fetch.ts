import protocolErrors from 'kafkajs/src/protocol/error.js';
import fetchRequest from 'kafkajs/src/protocol/requests/fetch/v11/request.js';
import { LineproofError } from '../core/base/errors.ts';
import type { KafkaBroker } from './kafka-client.ts';

const READ_UNCOMMITTED = 0;
/** Of an aborted transaction: producer id and first offset. */
const ABORTED_BYTES = 16;

/** One fetch: records of about `maxBytes` from `offset` on, awaited for `waitMs`. `topic` is the name on the broker. */
export interface Fetch {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly waitMs: number;
  readonly maxBytes: number;
}

/**
 * Fetches from one partition and returns its record batches as the broker stores them: the decoder of kafkajs does not check them, unpacks without a bound
 * and does not know every compression. Fetch version 11 is known to every broker since Kafka 2.3.
 * Throws an error of kafkajs with the broker's code as its type, or UNAVAILABLE.
 */
export async function fetchBatches(broker: KafkaBroker, { topic, partition, offset, waitMs, maxBytes }: Fetch): Promise<Buffer> {
  const request = fetchRequest({
    replicaId: -1,
    maxWaitTime: waitMs,
    minBytes: 1,
    maxBytes,
    isolationLevel: READ_UNCOMMITTED,
    topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes }] }],
  });
  const decode = async (bytes: Buffer): Promise<FetchAnswer> => openAnswer(new AnswerReader(bytes), topic, partition);
  const { errorCode, batches } = await broker.connectionPool.send({ request, response: { decode, parse: passOn } });
  if (errorCode !== 0) throw protocolErrors.createErrorFromCode(errorCode);
  if (batches === undefined)
    throw new LineproofError('UNAVAILABLE', "cannot use the broker's answer to a fetch: it does not name the partition");
  return batches;
}

interface FetchAnswer {
  /** Milliseconds for which kafkajs then sends this broker nothing. */
  readonly clientSideThrottleTime: number;
  /** Of the request or of the partition. */
  readonly errorCode: number;
  /** Undefined if the answer does not name the partition. */
  readonly batches: Buffer | undefined;
}

/**
 * FetchResponse version 11: throttle_time_ms i32, error_code i16, session_id i32, then topics: name, then partitions: index i32, error_code i16,
 * high_watermark i64, last_stable_offset i64, log_start_offset i64, aborted transactions, preferred_read_replica i32, records.
 */
function openAnswer(reader: AnswerReader, topic: string, partition: number): FetchAnswer {
  const clientSideThrottleTime = reader.i32();
  const failed = reader.i16();
  reader.bytes(4);
  for (let topics = reader.i32(); topics > 0; topics--) {
    const name = reader.bytes(reader.i16()).toString('utf8');
    for (let partitions = reader.i32(); partitions > 0; partitions--) {
      const index = reader.i32();
      const errorCode = reader.i16();
      reader.bytes(24);
      reader.bytes(ABORTED_BYTES * Math.max(0, reader.i32()));
      reader.bytes(4);
      const batches = reader.bytes(Math.max(0, reader.i32()));
      if (name === topic && index === partition) return { clientSideThrottleTime, errorCode: failed === 0 ? errorCode : failed, batches };
    }
  }
  return { clientSideThrottleTime, errorCode: failed, batches: undefined };
}

async function passOn(answer: FetchAnswer): Promise<FetchAnswer> {
  return answer;
}

/** Reads the fields of an answer in turn. Throws UNAVAILABLE where it ends too soon. */
class AnswerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  i16(): number {
    return this.bytes(2).readInt16BE();
  }

  i32(): number {
    return this.bytes(4).readInt32BE();
  }

  bytes(length: number): Buffer {
    const from = this.#at;
    this.#at += length;
    if (length < 0 || this.#at > this.#bytes.length)
      throw new LineproofError('UNAVAILABLE', "cannot use the broker's answer to a fetch: it is cut");
    return this.#bytes.subarray(from, this.#at);
  }
}
