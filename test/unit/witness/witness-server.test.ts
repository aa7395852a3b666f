import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parseVerifierKey } from '../../../core/keys/key.ts';
import { EMPTY_ROOT } from '../../../core/tree/hash.ts';
import type { WitnessCore } from '../../../witness/witness.ts';
import { monitoringPath } from '../../../witness/witness.ts';
import { openWitnessServer } from '../../../witness/witness-server.ts';
import { noteOf } from '../../support/archive.ts';
import { testSigner } from '../../support/producer.ts';
import { type RunningWitness, startWitness } from '../../support/witnesses.ts';

const log = testSigner('log.example/0', 'log');
let witness: RunningWitness;

beforeEach(async () => {
  witness = await startWitness('w', [parseVerifierKey(log.verifierKey)]);
});
afterEach(() => witness.close());

const post = (body: string | Uint8Array<ArrayBuffer>): Promise<Response> =>
  fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body });

test('a question is answered with the line, and the note is at the monitoring path', async () => {
  const path = `${witness.url}/${monitoringPath(log.name)}`;
  expect((await fetch(path)).status).toBe(404);
  const note = await noteOf(log, 0, EMPTY_ROOT);
  const answer = await post(`old 0\n\n${note}`);
  expect(answer.status).toBe(200);
  expect(await (await fetch(path)).text()).toBe(`${note}${await answer.text()}`);
  expect(await (await fetch(path, { method: 'HEAD' })).text()).toBe('');
  expect(witness.replies).toEqual([200]);
});

describe('what is not a question', () => {
  test.each<[string, number, string, RequestInit]>([
    ['another method', 405, '/add-checkpoint', {}],
    ['a body that is too long', 413, '/add-checkpoint', { method: 'POST', body: 'x'.repeat(70_000) }],
    ['a body that is not UTF-8', 400, '/add-checkpoint', { method: 'POST', body: Uint8Array.of(0xff) }],
    ['nothing', 400, '/add-checkpoint', { method: 'POST' }],
    ['a path that there is not', 404, '/', {}],
    ['a path into the store', 404, '/../x/checkpoint', {}],
    ['a note put at the monitoring path', 405, `/${monitoringPath('log.example/0')}`, { method: 'PUT', body: 'x' }],
  ])('%s is answered with %i', async (_, status, path, request) => {
    expect((await fetch(witness.url + path, request)).status).toBe(status);
  });
});

test('a question that breaks off does not end the witness', async () => {
  const socket = connect(Number(new URL(witness.url).port), '127.0.0.1');
  socket.write('POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nold ');
  await once(socket, 'connect');
  socket.destroy();
  expect((await post('old 0\n\n')).status).toBe(400);
});

test('questions that come slowly keep nobody else out', async () => {
  const port = Number(new URL(witness.url).port);
  const slow = Array.from({ length: 100 }, () => connect(port, '127.0.0.1'));
  for (const socket of slow) {
    // The server says that it has read the head, and waits for the body.
    socket.write('POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n');
    await once(socket, 'data');
  }
  const answer = await post(`old 0\n\n${await noteOf(log, 0, EMPTY_ROOT)}`);
  for (const socket of slow) socket.destroy();
  expect(answer.status).toBe(200);
});

test('a store that is away is 503, and too many questions at once are 429', async () => {
  const waiting: (() => void)[] = [];
  const core = {
    add: () => new Promise((_, reject) => waiting.push(() => reject(new Error('away')))),
    newest: () => Promise.reject(new Error('away')),
  };
  const server = await openWitnessServer(core as unknown as WitnessCore, { host: '127.0.0.1', port: 0 });
  const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${server.port}/add-checkpoint`, { method: 'POST', body: 'x' });
  const asked = Array.from({ length: 65 }, async () => (await ask()).status);
  expect(await Promise.race(asked)).toBe(429);
  for (const fail of waiting) fail();
  expect((await Promise.all(asked)).toSorted((a, b) => a - b)).toEqual([429, ...Array(64).fill(503)]);
  expect((await fetch(`http://127.0.0.1:${server.port}/${monitoringPath('x')}`)).status).toBe(503);
  await server.close();
});

test('an address that is taken is refused with a way out', async () => {
  const port = Number(new URL(witness.url).port);
  await expect(openWitnessServer({} as WitnessCore, { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('--listen'),
  });
});
