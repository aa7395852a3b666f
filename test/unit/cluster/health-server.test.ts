import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { prometheusMetrics } from '../../../adapters/prometheus-metrics.ts';
import { openHealthServer } from '../../../cluster/health-server.ts';
import { codeOf } from '../../contract/contract.ts';

const metrics = prometheusMetrics();
const state: { alive: string | undefined; ready: string | undefined } = { alive: undefined, ready: 'not in the group yet' };
const health = { alive: () => state.alive, ready: () => state.ready };
let server: Awaited<ReturnType<typeof openHealthServer>>;

beforeAll(async () => {
  server = await openHealthServer({ host: '127.0.0.1', port: 0 }, metrics, health);
});
afterAll(async () => server.close());

async function ask(path: string, method = 'GET'): Promise<[number, string]> {
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return [answer.status, await answer.text()];
}

/** The status of /metrics under a header Host. */
async function askAs(port: number, host: string): Promise<number | undefined> {
  const asked = get({ host: '127.0.0.1', port, path: '/metrics', headers: { host } });
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

describe('the health server', () => {
  test('answers 200 if all is well, else 503 and the problem', async () => {
    expect([await ask('/healthz'), await ask('/readyz')]).toEqual([
      [200, 'ok\n'],
      [503, 'not in the group yet\n'],
    ]);
    [state.alive, state.ready] = ['no progress on shards 3', undefined];
    expect([await ask('/healthz'), await ask('/readyz?x=1')]).toEqual([
      [503, 'no progress on shards 3\n'],
      [200, 'ok\n'],
    ]);
  });

  test('serves the metrics', async () => {
    metrics.add('lineproof_chainer_links_total', 7, { shard: '2' });
    const [status, text] = await ask('/metrics');
    expect(status).toBe(200);
    expect(text).toContain('lineproof_chainer_links_total{shard="2"} 7');
  });

  test('has nothing else, and takes nothing', async () => {
    expect((await ask('/'))[0]).toBe(404);
    expect((await ask('/metrics/../../etc/passwd'))[0]).toBe(404);
    expect((await ask('/metrics', 'POST'))[0]).toBe(405);
    expect(await ask('/metrics', 'HEAD')).toEqual([200, '']);
  });

  test.each([
    ['localhost', 200],
    ['LOCALHOST:9464', 200],
    ['127.0.0.1:9464', 200],
    ['[::1]:9464', 200],
    ['evil.example', 421],
    ['evil.example:9464', 421],
    ['localhost.evil.example', 421],
    ['127.0.0.1.evil.example', 421],
  ])('on the loopback address, a request for the host %j gets %i: no page of another name reads it', async (host, status) => {
    expect(await askAs(server.port, host)).toBe(status);
  });

  test('on another address, the name is not looked at: machines have names', async () => {
    const open = await openHealthServer({ host: '0.0.0.0', port: 0 }, metrics, health);
    try {
      expect(await askAs(open.port, 'chain-1.internal:9464')).toBe(200);
    } finally {
      await open.close();
    }
  });

  test('a port that is in use is said at the start', async () => {
    expect(await codeOf(() => openHealthServer({ host: '127.0.0.1', port: server.port }, metrics, health))).toBe('CONFIG_INVALID');
  });
});
