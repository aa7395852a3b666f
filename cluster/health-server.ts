import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import type { PrometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';

/** A service's state: undefined if all is well, else the problems, a line each. */
export interface Health {
  /** Why a restart would help; never that a dependency is away. */
  alive(): string | undefined;
  /** Why the service does not do its share of the work: not in its group, recovering, held, or stopping. */
  ready(): string | undefined;
  /** Called before the metrics are told: sets those that say how old something is. */
  measure?(): void;
  /** What /status answers, as JSON; without it there is no such path. */
  status?(): Promise<unknown>;
}

/** Serves /metrics, /healthz, /readyz and perhaps /status; nothing else, and nothing that changes anything. Throws CONFIG_INVALID if it cannot listen on the address. */
export async function openHealthServer(
  address: { readonly host: string; readonly port: number },
  metrics: PrometheusMetrics,
  health: Health,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  metrics.describeProcess();
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8192 }, (request, response) => {
    const [path] = (request.url ?? '').split('?');
    const answer = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(request.method === 'HEAD' ? '' : body);
    };
    if (!mayAsk(address.host, request.headers.host))
      return answer(421, 'text/plain', 'this is served to this machine alone: ask for it as localhost or by its IP address\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'text/plain', 'only GET\n');
    if (path === '/healthz') return answerProblem(health.alive(), answer);
    if (path === '/readyz') return answerProblem(health.ready(), answer);
    const status = health.status?.bind(health);
    if (path === '/status' && status !== undefined)
      return void status().then(
        (facts) => answer(200, 'application/json', `${JSON.stringify(facts, null, 2)}\n`),
        (error: unknown) => answer(503, 'text/plain', `${messageOf(error)}\n`),
      );
    if (path !== '/metrics')
      return answer(404, 'text/plain', `there is /metrics, ${status === undefined ? '/healthz' : '/status, /healthz'} and /readyz\n`);
    health.measure?.();
    metrics.text().then(
      (body) => answer(200, 'text/plain; version=0.0.4; charset=utf-8', body),
      () => answer(500, 'text/plain', 'metrics cannot be written\n'),
    );
  });
  await listen(server, address);
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * Whether a request may be answered, by its header Host. What is served on the loopback address is for programs of this machine. A page in a browser here can
 * reach it too, under a name of its own that was made to point here, and would read the answer as its own (DNS rebinding). An address shows no such name.
 */
function mayAsk(served: string, host = ''): boolean {
  if (!isLoopback(served)) return true;
  const name = host.replace(/:\d+$/, '').toLowerCase();
  return name === 'localhost' || name === served.toLowerCase() || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function answerProblem(problem: string | undefined, answer: (status: number, type: string, body: string) => void): void {
  answer(problem === undefined ? 200 : 503, 'text/plain', `${problem ?? 'ok'}\n`);
}

async function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'the port is in use; name another with --http-port' : String(error);
    throw new LineproofError('CONFIG_INVALID', `cannot serve metrics on ${host}:${port}: ${reason}`, {}, error);
  }
}
