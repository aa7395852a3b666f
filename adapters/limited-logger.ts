import type { LogFields, Logger } from '../core/ports/logger.ts';

/** Lines of one kind that are written in one window. */
const LINES = 5;
const WINDOW_MS = 60_000;
/** How often windows that are over are looked for. */
const SWEEP_MS = 5_000;
/** Kinds that are counted apart; what comes beyond them shares one count for each message. */
const MAX_KINDS = 2_048;
/** A message's digits and quoted names differ from line to line, and do not make another kind. */
const VARYING = /\d+|"[^"]*"/g;

/** A {@link Logger} whose warnings and errors cannot flood what it writes to. */
export interface LimitedLogger extends Logger {
  /** Writes the counts of all lines that were left out so far; for the end of a process. */
  flush(): void;
}

interface Kind {
  sinceMs: number;
  written: number;
  leftOut: number;
  /** Writes the last line that was left out, with the count. */
  tell: (() => void) | undefined;
}

export interface LimitOptions {
  /** A monotonic clock, milliseconds. */
  readonly nowMs?: () => number;
}

/**
 * Lets through {@link LINES} warnings and errors a minute of one kind: the same message, part and shard. What it leaves out, it counts: when the minute
 * is over, the last line of the kind is written with `leftOut`. Lines of the levels info and debug all pass.
 */
export function limitedLogger(logger: Logger, { nowMs = () => performance.now() }: LimitOptions = {}): LimitedLogger {
  const limit = new Limit(nowMs);
  return { ...limited(logger, limit, {}), flush: () => limit.flush() };
}

function limited(logger: Logger, limit: Limit, bound: LogFields): Logger {
  const at =
    (level: 'warn' | 'error') =>
    (message: string, fields: LogFields = {}): void => {
      const { part = '', shard = '', namespace = '' } = { ...bound, ...fields };
      limit.pass(`${level} ${part} ${namespace} ${message.replaceAll(VARYING, '#')}`, String(shard), (leftOut) =>
        logger[level](message, leftOut === 0 ? fields : { ...fields, leftOut }),
      );
    };
  return {
    debug: (message, fields) => logger.debug(message, fields),
    info: (message, fields) => logger.info(message, fields),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => limited(logger.child(fields), limit, { ...bound, ...fields }),
  };
}

/** Counts lines by kind. Its timer does not keep the process alive. */
class Limit {
  readonly #nowMs: () => number;
  readonly #kinds = new Map<string, Kind>();
  #sweptMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  pass(message: string, shard: string, write: (leftOut: number) => void): void {
    if (this.#nowMs() - this.#sweptMs >= SWEEP_MS) this.#endWindows();
    const kind = this.#kindOf(message, shard);
    if (kind.written < LINES) {
      kind.written += 1;
      return write(0);
    }
    kind.leftOut += 1;
    kind.tell = () => write(kind.leftOut - 1);
    this.#timer ??= setTimeout(() => this.#onTimer(), SWEEP_MS).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { tell } of this.#kinds.values()) tell?.();
    this.#kinds.clear();
  }

  #kindOf(message: string, shard: string): Kind {
    const own = `${message} ${shard}`;
    const { size } = this.#kinds;
    const shared = size < 2 * MAX_KINDS ? message : '';
    const key = size < MAX_KINDS || this.#kinds.has(own) ? own : shared;
    const kind = this.#kinds.get(key) ?? { sinceMs: this.#nowMs(), written: 0, leftOut: 0, tell: undefined };
    this.#kinds.set(key, kind);
    return kind;
  }

  #onTimer(): void {
    this.#timer = undefined;
    this.#endWindows();
    const isWaiting = [...this.#kinds.values()].some(({ tell }) => tell !== undefined);
    if (isWaiting) this.#timer = setTimeout(() => this.#onTimer(), SWEEP_MS).unref();
  }

  /** Forgets the kinds whose minute is over, and writes what they left out. */
  #endWindows(): void {
    const now = this.#nowMs();
    this.#sweptMs = now;
    for (const [key, { sinceMs, tell }] of this.#kinds) {
      if (now - sinceMs < WINDOW_MS) continue;
      this.#kinds.delete(key);
      tell?.();
    }
  }
}
