import { parseArgs } from 'node:util';
import { LineproofError } from '../core/base/errors.ts';

export interface BenchOptions {
  readonly events: number;
  readonly streams: number;
  /** Numbers of shards, each of which is measured; only one for the embedded system. */
  readonly shards: readonly number[];
  /** Duration of the paced run. */
  readonly seconds: number;
  /** Events per second of the paced run. */
  readonly rate: number;
  /** Events that the whole run offers twice. */
  readonly repeats: number;
  readonly only: Measurement | undefined;
  /** Whether the system runs on servers that are started for it. */
  readonly stack: boolean;
  /** Events of each run of the baseline; undefined if there is none. */
  readonly naiveEvents: number | undefined;
  readonly json: boolean;
  readonly help: boolean;
}

export const MEASUREMENTS = ['throughput', 'parts', 'latency'] as const;
export type Measurement = (typeof MEASUREMENTS)[number];

export const HELP = `Measures the embedded system on a temporary data folder, or with --stack the system on
Kafka, Redis, a schema registry and S3 that are started for it and ended afterwards.

Usage: npm run bench -- [OPTIONS]

  --events N    events of the whole run and of the run part by part (100000)
  --streams N   streams that they go to in turn (1000)
  --shards N    shards of the log (1); with --stack a list, each of which is measured (1,4)
  --rate N      events per second of the paced run, which measures latency (2000)
  --seconds N   how long the paced run offers events (5)
  --only NAME   one measurement: throughput, parts or latency; with --stack, the
                throughput run measures the parts, because each is a process
  --repeats N   offer the first N events of the whole run twice: each leaves a receipt
                instead of a link, so that the check of the number of links must fail
  --stack       measure on real servers, as npm run stack starts them
  --against naive
                with --stack: also measure a baseline on the same servers; for each event
                it makes one signature, one Kafka message, one SET NX and one entry of
                a hash chain; once event by event, once with requests grouped
  --naive-events N
                events of each run of the baseline (10000)
  --json        print one JSON object
  -h, --help    print this text

All data is made below TMPDIR and deleted. Exit code 1: an archive, or the baseline's
chain, did not hold exactly the events that were offered, or did not verify. 74: the
stack did not start, or something ended too early.
`;

const TYPES = {
  events: { type: 'string', default: '100000' },
  streams: { type: 'string', default: '1000' },
  shards: { type: 'string' },
  rate: { type: 'string', default: '2000' },
  seconds: { type: 'string', default: '5' },
  repeats: { type: 'string', default: '0' },
  only: { type: 'string' },
  stack: { type: 'boolean', default: false },
  against: { type: 'string' },
  'naive-events': { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Throws USAGE, with the fault. */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const values = parsed(argv);
  const { stack, against } = values;
  const only = MEASUREMENTS.find((name) => name === values.only);
  if (values.only !== undefined && only === undefined)
    throw new LineproofError('USAGE', `--only takes ${MEASUREMENTS.join(', ')}, not ${JSON.stringify(values.only)}`);
  if (stack && only === 'parts')
    throw new LineproofError('USAGE', '--only parts goes without --stack: there the throughput run measures the parts');
  if (against !== undefined && against !== 'naive')
    throw new LineproofError('USAGE', `--against takes naive, not ${JSON.stringify(against)}`);
  if (against !== undefined && !stack) throw new LineproofError('USAGE', '--against goes with --stack: the baseline needs its servers');
  if (values['naive-events'] !== undefined && against === undefined)
    throw new LineproofError('USAGE', '--naive-events goes with --against naive');
  const events = count('events', values.events, 1);
  const shards = (values.shards ?? (stack ? '1,4' : '1')).split(',').map((each) => count('shards', each, 1, 256));
  if (shards.length > 1 && !stack) throw new LineproofError('USAGE', '--shards takes a list only with --stack');
  const naiveEvents = count('naive-events', values['naive-events'] ?? '10000', 1);
  return {
    events,
    streams: count('streams', values.streams, 1),
    shards,
    rate: count('rate', values.rate, 1),
    seconds: count('seconds', values.seconds, 1, 3600),
    repeats: count('repeats', values.repeats, 0, against === undefined ? events : Math.min(events, naiveEvents)),
    only,
    stack,
    naiveEvents: against === undefined ? undefined : naiveEvents,
    json: values.json,
    help: values.help,
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: TYPES, strict: true }).values;
  } catch (error) {
    throw new LineproofError('USAGE', `${error instanceof Error ? error.message : String(error)}; see npm run bench -- --help`);
  }
}

function count(name: string, text: string, min: number, max = 10_000_000): number {
  const value = Number(text);
  if (!/^\d{1,8}$/.test(text) || value < min || value > max)
    throw new LineproofError('USAGE', `--${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`);
  return value;
}
