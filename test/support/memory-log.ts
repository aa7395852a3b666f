import { LineproofError } from '../../core/base/errors.ts';
import type { MetricName } from '../../core/base/metric-names.ts';
import type { Appended, Log, LogBounds, LogRecord, NewRecord } from '../../core/ports/log.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Metrics } from '../../core/ports/metrics.ts';
import type { SchemaRegistry } from '../../core/ports/schema-registry.ts';

/** What the next append does: take, refuse, never answer, or take and say that it failed. */
export type Fault = 'none' | 'refuse' | 'hang' | 'lose-answer';

/** Wraps a log so that its appends fail as told. */
export function faultyLog(log: Log, fault: () => Fault): Log {
  return {
    ensureTopic: (topic, settings) => log.ensureTopic(topic, settings),
    read: (topic, partition, from, options) => log.read(topic, partition, from, options),
    bounds: (topic, partition) => log.bounds(topic, partition),
    trim: (topic, partition, before) => log.trim(topic, partition, before),
    close: () => log.close(),
    async append(topic, partition, records) {
      const what = fault();
      if (what === 'hang') return new Promise(() => undefined);
      if (what === 'refuse') throw new LineproofError('UNAVAILABLE', 'cannot append: told to refuse');
      const appended = await log.append(topic, partition, records);
      if (what === 'lose-answer') throw new LineproofError('UNAVAILABLE', 'cannot append: told to lose the answer');
      return appended;
    },
  };
}

/** A log in memory with one answer for every append. */
export class MemoryLog implements Log {
  readonly records: (LogRecord & { readonly partition: number })[] = [];

  async ensureTopic(): Promise<void> {}

  async append(_topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const offset = this.records.length;
    for (const { key, value, headers } of records)
      this.records.push({ kind: 'record', offset: this.records.length, timestampMicros: 0, key, value, headers: headers ?? {}, partition });
    return { offset, timestampMicros: undefined };
  }

  async read(): Promise<readonly LogRecord[]> {
    return this.records;
  }

  async bounds(): Promise<LogBounds> {
    return { start: 0, end: this.records.length };
  }

  async trim(): Promise<void> {}

  async close(): Promise<void> {}
}

export const memoryRegistry: SchemaRegistry = {
  register: async () => 1,
  get: async () => undefined,
  list: async () => [],
  close: async () => undefined,
};

export const quietLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quietLogger,
};

export const noMetrics: Metrics = { add: () => undefined, set: () => undefined, observe: () => undefined, forget: () => undefined };

/** What a part said and counted, kept in order. */
export interface Heard {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** `level code-or-message`. */
  readonly lines: string[];
  readonly counts: Map<string, number>;
  readonly gauges: Map<string, number>;
}

/** A logger and metrics that keep what they are told. */
export function listen(): Heard {
  const lines: string[] = [];
  const counts = new Map<string, number>();
  const gauges = new Map<string, number>();
  const say =
    (level: string): Logger['info'] =>
    (message, fields) =>
      void lines.push(`${level} ${fields?.['code'] === undefined ? message : String(fields['code'])}`);
  const logger: Logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error'), child: () => logger };
  const metrics: Metrics = {
    ...noMetrics,
    add: (name: MetricName, by: number) => void counts.set(name, (counts.get(name) ?? 0) + by),
    set: (name: MetricName, value: number) => void gauges.set(name, value),
  };
  return { logger, metrics, lines, counts, gauges };
}
