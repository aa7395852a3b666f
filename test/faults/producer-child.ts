// A service that records through the SDK and writes down which events were acknowledged to it, for the fault table. Its argument is JSON. Lines on its stdin:
// pause, end. It says four times a second what it knows, and ends when its stdin does.
import { openSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { hasCode, LineproofError } from '../../core/base/errors.ts';
import { connectKafka, type KafkaOptions } from '../../sdk/kafka.ts';
import { createCollector, type EventInput, readKeyFile } from '../../sdk/lineproof.ts';

const TICK_MS = 25;
const SAY_MS = 250;
/** Calls that wait for the disk: as many as a service with a bounded number of requests would have. */
const MOST_WAITING = 2_000;
const DRAIN_MS = 300_000;

const settings = JSON.parse(process.argv[2] ?? '{}');
const { name, index, rate, streams, env } = settings;
const acknowledged = openSync(settings.acknowledged, 'a');
const kafka = connectKafka(kafkaOptions());
const collector = await createCollector({
  origin: settings.origin,
  shards: settings.shards,
  signer: await readKeyFile(settings.keyFile),
  log: kafka.log,
  registry: kafka.registry,
  spool: { folder: settings.spool },
});

let number: number = settings.first;
const calls = new Set<Promise<void>>();
let due = 0;
let state: 'recording' | 'paused' | 'ending' = 'recording';
/** All that was recorded before the pause is acknowledged by the log. */
let flushed = false;
const refused: Record<string, number> = {};

function kafkaOptions(): KafkaOptions {
  const options = {
    brokers: env.LINEPROOF_KAFKA_BROKERS.split(','),
    topicPrefix: env.LINEPROOF_KAFKA_TOPIC_PREFIX,
    registry: { url: env.LINEPROOF_REGISTRY_URL },
  };
  if (env.LINEPROOF_KAFKA_TLS !== 'on') return options;
  return {
    ...options,
    tls: { ca: readFileSync(env.LINEPROOF_KAFKA_CA, 'utf8') },
    sasl: { mechanism: env.LINEPROOF_KAFKA_SASL, username: env.LINEPROOF_KAFKA_USERNAME, password: env.LINEPROOF_KAFKA_PASSWORD },
  };
}

function nextEvent(): EventInput {
  const id = `01890000-0000-7${index.toString(16).padStart(3, '0')}-8000-${number.toString(16).padStart(12, '0')}`;
  const stream = `faults/${index}/${number % streams}`;
  number++;
  const outputs = [{ namespace: 'faults', name: `object-${number}` }];
  return { id, stream, type: 'CREATE', actor: name, occurredAt: new Date(), outputs, attributes: { number: String(number) } };
}

function recordOne(event: EventInput): void {
  const call = recorded(event);
  calls.add(call);
  void call.then(() => calls.delete(call));
}

async function recorded(event: EventInput): Promise<void> {
  try {
    writeSync(acknowledged, `${await collector.recordDurably(event)}\n`);
  } catch (error) {
    const code = error instanceof LineproofError ? error.code : String(error);
    refused[code] = (refused[code] ?? 0) + 1;
    if (!hasCode(error, 'DISK_FULL', 'IO_FAILED', 'SPOOL_FULL')) process.stderr.write(`${name}: ${String(error)}\n`);
  }
}

function tick(): void {
  if (state !== 'recording') return;
  for (due += (rate * TICK_MS) / 1000; due >= 1 && calls.size < MOST_WAITING; due--) recordOne(nextEvent());
  due = Math.min(due, rate);
}

async function pause(): Promise<void> {
  state = 'paused';
  await Promise.all(calls);
  await collector.flush();
  flushed = true;
}

async function end(): Promise<void> {
  state = 'ending';
  await Promise.all(calls);
  const drained = await collector.close(DRAIN_MS);
  clearInterval(ticking);
  clearInterval(saying);
  await kafka.close();
  say();
  process.exit(drained ? 0 : 1);
}

function say(): void {
  writeSync(1, `${JSON.stringify({ refused, flushed })}\n`);
}

const ticking = setInterval(tick, TICK_MS);
const saying = setInterval(say, SAY_MS);
const orders = createInterface({ input: process.stdin });
orders.on('line', (order) => {
  if (state === 'ending') return;
  if (order === 'end') void end();
  else void pause();
});
orders.on('close', () => state !== 'ending' && process.exit(1));
