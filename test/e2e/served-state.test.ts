import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import type { EmbeddedShard } from '../../embedded/pipeline.ts';
import { lineproof, MAIN, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 120_000;
const folder = temporaryFolder('served-state');
const data = join(folder.path, 'data');
afterAll(() => folder.release());

/** Runs a system that serves its state, and gives the address to `use`. */
async function served(use: (address: string) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [MAIN, 'start', '--data', data, '--http-port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  try {
    let said = '';
    for await (const chunk of child.stdout) {
      said += String(chunk);
      if (said.includes('Running')) break;
    }
    await use(/ on (http:\S+)\n/.exec(said)?.[1] ?? said);
  } finally {
    child.kill('SIGTERM');
  }
  expect(await ended).toEqual([0, null]);
}

test(
  'a running system serves its metrics, its health, and the state of every shard',
  async () => {
    await served(async (address) => {
      const status = async (): Promise<readonly EmbeddedShard[]> => (await (await fetch(`${address}/status`)).json()) as EmbeddedShard[];
      const emit = await lineproof(['emit', '--data', data], { input: '{"stream":"a","type":"CREATE","actor":"x"}\n' });
      expect(emit.code).toBe(0);
      for (;;) {
        const [shard, ...more] = await status();
        expect(more).toEqual([]);
        if (shard?.archived !== shard?.size || (shard?.size ?? 0) < 2) continue;
        expect(shard).toEqual({ shard: 0, lag: 0, size: shard?.size, attested: shard?.size, archived: shard?.size, waitsFor: null });
        break;
      }
      const answers = await Promise.all(['/healthz', '/readyz', '/elsewhere'].map((path) => fetch(`${address}${path}`)));
      expect(answers.map((answer) => answer.status)).toEqual([200, 200, 404]);
      expect(await answers[2]?.text()).toBe('there is /metrics, /status, /healthz and /readyz\n');
      expect(await (await fetch(`${address}/metrics`)).text()).toMatch(/^lineproof_chainer_links_total\{shard="0"\} [1-9]/m);
      // The same port for a second system: it says so, and keeps nothing.
      const port = new URL(address).port;
      const second = ['start', '--data', join(folder.path, 'second'), '--http-port', port];
      expect(await lineproof(second)).toMatchObject({ code: 78, stderr: expect.stringMatching(/the port is in use.*\[CONFIG_INVALID\]/s) });
      expect(await lineproof([...second.slice(0, 3), '--until-idle'])).toMatchObject({ code: 0 });
    });
  },
  TIMEOUT_MS,
);

test.each([
  [['--http-port', '65536'], /--http-port is "65536": it must be a number from 0 to 65535/],
  [['--http-port', '+1'], /--http-port is "\+1"/],
  [['--http-host', '0.0.0.0'], /--http-host needs --http-port/],
])('%j is refused', async (options, said) => {
  const { code, stderr } = await lineproof(['start', '--data', join(folder.path, 'refused'), ...options]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(said)]);
});
