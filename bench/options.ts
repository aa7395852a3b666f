import { parseArgs } from 'node:util';
import { LineproofError } from '../core/errors.ts';

export interface BenchOptions {
  readonly events: number;
  readonly streams: number;
  readonly shards: number;
  /** Of the paced run. */
  readonly seconds: number;
  /** Events per second of the paced run. */
  readonly rate: number;
  /** Events that the whole run offers twice. */
  readonly repeats: number;
  readonly only: Measurement | undefined;
  readonly json: boolean;
  readonly help: boolean;
}

export const MEASUREMENTS = ['throughput', 'parts', 'latency'] as const;
export type Measurement = (typeof MEASUREMENTS)[number];

export const HELP = `Measures the embedded system on a temporary data folder.

Usage: npm run bench -- [OPTIONS]

  --events N    events of the whole run and of the run part by part (100000)
  --streams N   streams that they go to in turn (1000)
  --shards N    shards of the log (1)
  --rate N      events per second of the paced run, which measures latency (2000)
  --seconds N   how long the paced run offers events (5)
  --only NAME   one measurement: throughput, parts or latency
  --repeats N   offer the first N events of the whole run twice: each leaves a receipt
                instead of a link, so that the count of links must fail
  --json        print one JSON object
  -h, --help    print this text

The folder is made below TMPDIR. Exit code 1: an archive did not hold exactly the
events that were offered, or did not verify.
`;

const TYPES = {
  events: { type: 'string', default: '100000' },
  streams: { type: 'string', default: '1000' },
  shards: { type: 'string', default: '1' },
  rate: { type: 'string', default: '2000' },
  seconds: { type: 'string', default: '5' },
  repeats: { type: 'string', default: '0' },
  only: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Throws USAGE with what is wrong. */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const values = parsed(argv);
  const only = MEASUREMENTS.find((name) => name === values.only);
  if (values.only !== undefined && only === undefined)
    throw new LineproofError('USAGE', `--only takes ${MEASUREMENTS.join(', ')}, not ${JSON.stringify(values.only)}`);
  const events = count('events', values.events, 1);
  return {
    events,
    streams: count('streams', values.streams, 1),
    shards: count('shards', values.shards, 1, 256),
    rate: count('rate', values.rate, 1),
    seconds: count('seconds', values.seconds, 1, 3600),
    repeats: count('repeats', values.repeats, 0, events),
    only,
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
