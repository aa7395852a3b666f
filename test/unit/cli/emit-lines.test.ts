import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, test } from '@jest/globals';
import { emitLines, type LineOutcome } from '../../../cli/emit-lines.ts';
import { type Collector, type CreateCollectorOptions, createCollector } from '../../../sdk/lineproof.ts';
import { signer } from '../../support/collector.ts';
import { temporaryFolder } from '../../support/command.ts';

const folder = temporaryFolder('emit-lines');
afterAll(() => folder.release());
let opened = 0;

function collectorWith(spool: Partial<CreateCollectorOptions['spool']> = {}): Promise<Collector> {
  const path = join(folder.path, `spool-${opened++}`);
  return createCollector({ origin: 'test', shards: 1, signer, log: null, spool: { folder: path, ...spool } });
}

const line = (more: object = {}): string => `${JSON.stringify({ stream: 's', type: 'CREATE', actor: 'a', ...more })}\n`;

interface Emitted {
  readonly code: number;
  readonly told: LineOutcome[];
  readonly said: string[];
}

async function emitted(input: Readable, collector: Collector, signal = new AbortController().signal): Promise<Emitted> {
  const told: LineOutcome[] = [];
  const said: string[] = [];
  const code = await emitLines(input, collector, {
    name: 'in',
    signal,
    told: (outcome) => void told.push(outcome),
    warn: (text) => void said.push(text),
  });
  await collector.close();
  return { code, told, said };
}

describe('lines of events', () => {
  test('are told in their order, and the last word lists those that were refused', async () => {
    const lines = Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? line() : 'x\n'));
    const { code, told, said } = await emitted(Readable.from([Buffer.from(lines.join(''))]), await collectorWith());
    expect([code, told.map((outcome) => outcome.line), told.filter((outcome) => 'id' in outcome).length]).toEqual([
      1,
      lines.map((_, i) => i + 1),
      30,
    ]);
    expect(said.at(-1)).toMatch(/^in: 30 of its events recorded, 30 refused: lines 2, 4, .*, 40 and 10 more$/);
  });

  test('end with 74 at a spool that is full: what was recorded and where it stopped is said', async () => {
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        yield Buffer.from(line());
        await new Promise((resolve) => void setImmediate(resolve));
      }
    }
    const { code, told, said } = await emitted(Readable.from(endless()), await collectorWith({ maxBytes: 1, whenFull: 'refuse' }));
    expect([code, told[0], told[1]]).toEqual([
      74,
      { line: 1, id: expect.any(String) },
      { line: 2, error: { code: 'SPOOL_FULL', message: expect.any(String) } },
    ]);
    expect(said[0]).toMatch(/^in: line 2 was not recorded: .*\[SPOOL_FULL\]$/);
    expect(said.at(-1)).toMatch(/^in: line 2 cannot be recorded; lines after line \d+ were not read; 1 of its events recorded$/);
  });

  test('end with 74 at an input that fails, with all that was read recorded', async () => {
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.from(`${line()}${line()}{"stream":`);
      await new Promise((resolve) => void setImmediate(resolve));
      throw new Error('EIO: i/o error, read');
    }
    const { code, told, said } = await emitted(Readable.from(broken()), await collectorWith());
    expect([code, told.length, said]).toEqual([
      74,
      2,
      ['in: it cannot be read: EIO: i/o error, read; lines after line 2 were not read; 2 of its events recorded'],
    ]);
  });

  test('are not read at all after a signal', async () => {
    const { code, told, said } = await emitted(Readable.from([Buffer.from(line())]), await collectorWith(), AbortSignal.abort());
    expect([code, told, said]).toEqual([74, [], ['in: it was interrupted; lines after line 0 were not read; 0 of its events recorded']]);
  });
});
