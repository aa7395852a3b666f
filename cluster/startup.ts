import type { PrometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { hasCode, type LineproofError } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { type RetryPace, retry } from '../core/base/retry.ts';
import { unlessAborted } from '../core/base/unless-aborted.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { type Health, openHealthServer } from './health-server.ts';

const PACE: RetryPace = { firstMs: 250, maxMs: 5_000 };
/** While the start waits for one server, it says so at most this often. */
const TELL_MS = 30_000;

export interface WaitingOptions {
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly clock?: Pick<Clock, 'sleep' | 'monotonicMs'>;
}

/** Tells from a connection that failed whether a setting is wrong: the error to go on with, or undefined if that cannot be told. */
export type Explanation = () => Promise<LineproofError | undefined>;

/**
 * The steps of a service's start, each of which waits for a server however long it is away. Throws CONFIG_INVALID only for what a person must change,
 * and CLOSED once the signal aborts. Its one field says what is waited for.
 */
export class Waiting {
  readonly #o: WaitingOptions;
  #problem: string | undefined = 'starting';

  constructor(options: WaitingOptions) {
    this.#o = options;
  }

  /** What is waited for now, and why. */
  get problem(): string {
    return this.#problem ?? 'starting';
  }

  /** Runs one step until it succeeds. `explain` is asked when a server could not be reached. */
  async until<T>(what: string, act: () => Promise<T>, explain?: Explanation): Promise<T> {
    const { logger, signal, clock = systemClock } = this.#o;
    let toldMs: number | undefined;
    const onFailure = (error: LineproofError): void => {
      this.#problem = `waiting for ${what}: ${error.message}`;
      const now = clock.monotonicMs();
      if (toldMs !== undefined && now - toldMs < TELL_MS) return;
      toldMs = now;
      const { setting } = error.details;
      logger.warn(LOG.serviceWaits, { what, code: error.code, reason: error.message, ...(setting === undefined ? {} : { setting }) });
    };
    const tried = retry({ pace: PACE, clock, signal, onFailure }, () => explained(act, explain));
    // A step may take as long as a request's time-out: a stop does not wait for it.
    const result = await unlessAborted(tried, signal, `stopped while waiting for ${what}`);
    if (toldMs !== undefined) logger.info(LOG.serviceGoesOn, { what });
    this.#problem = undefined;
    return result;
  }
}

async function explained<T>(act: () => Promise<T>, explain: Explanation | undefined): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const better = explain !== undefined && hasCode(error, 'UNAVAILABLE') ? await explain() : undefined;
    throw better ?? error;
  }
}

/** A service that starts: it answers for its health from the first moment on. */
export interface Startup {
  readonly waiting: Waiting;
  /** Host and port that answer. */
  readonly address: { readonly host: string; readonly port: number };
  /** Gives the answers from now on. */
  become(health: Health): void;
  close(): Promise<void>;
}

/** Serves metrics and health; not ready until {@link Startup.become}. Throws CONFIG_INVALID if the address cannot be used. */
export async function openStartup(
  { httpHost: host, httpPort }: Pick<ClusterSettings, 'httpHost' | 'httpPort'>,
  { metrics, logger, signal }: WaitingOptions & { readonly metrics: PrometheusMetrics },
): Promise<Startup> {
  const waiting = new Waiting({ logger, signal });
  let health: Health = { alive: () => undefined, ready: () => (signal.aborted ? 'stopping' : waiting.problem) };
  const server = await openHealthServer({ host, port: httpPort }, metrics, {
    alive: () => health.alive(),
    ready: () => health.ready(),
    measure: () => health.measure?.(),
  });
  logger.info(LOG.serving, { host, port: server.port });
  return {
    waiting,
    address: { host, port: server.port },
    become: (next) => {
      health = next;
    },
    close: () => server.close(),
  };
}
