import { once } from 'node:events';
import { connect } from 'node:net';

const PRODUCE = { key: 0, version: 7 };
const ELECT_LEADERS = { key: 43, version: 1 };
const TIMEOUT_MS = 10_000;

/**
 * Sends record batches to a partition byte for byte, as a client that is not ours might. Resolves with the broker's error code (0: it took them) and the
 * offset of the first record. The broker must lead the partition.
 */
export async function produceRaw(
  broker: string,
  topic: string,
  batches: Buffer,
): Promise<{ readonly errorCode: number; readonly baseOffset: number }> {
  const name = Buffer.from(topic);
  // No transaction, acks −1, one topic with one partition, 0.
  const body = Buffer.concat([
    i16(-1),
    i16(-1),
    i32(TIMEOUT_MS),
    i32(1),
    i16(name.length),
    name,
    i32(1),
    i32(0),
    i32(batches.length),
    batches,
  ]);
  const answer = await ask(broker, PRODUCE, body);
  // Number of topics, name, number of partitions, partition.
  const at = 4 + 2 + name.length + 4 + 4;
  return { errorCode: answer.readInt16BE(at), baseOffset: Number(answer.readBigInt64BE(at + 2)) };
}

/** Makes the preferred replica of every partition its leader, where it is in sync, as `kafka-leader-election --election-type preferred` does. */
export async function electPreferredLeaders(broker: string): Promise<void> {
  const [preferred, allPartitions] = [Buffer.from([0]), i32(-1)];
  const answer = await ask(broker, ELECT_LEADERS, Buffer.concat([preferred, allPartitions, i32(TIMEOUT_MS)]));
  // Behind the throttling time.
  const errorCode = answer.readInt16BE(4);
  if (errorCode !== 0) throw new Error(`the brokers elect no leaders: error ${errorCode}`);
}

/** One request on a connection of its own; gives the answer behind its correlation id. */
async function ask(broker: string, api: { readonly key: number; readonly version: number }, body: Buffer): Promise<Buffer> {
  const [host, port] = broker.split(':') as [string, string];
  const head = Buffer.alloc(10);
  head.writeInt16BE(api.key, 0);
  head.writeInt16BE(api.version, 2);
  head.writeInt32BE(1, 4);
  head.writeInt16BE(-1, 8);
  const socket = connect(Number(port), host);
  try {
    await once(socket, 'connect');
    socket.write(Buffer.concat([i32(head.length + body.length), head, body]));
    let answer = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length >= 4 && answer.length >= 4 + answer.readInt32BE(0)) break;
    }
    return answer.subarray(8);
  } finally {
    socket.destroy();
  }
}

function i16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function i32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
