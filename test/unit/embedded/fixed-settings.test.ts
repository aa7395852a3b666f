import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LOG } from '../../../core/base/log-lines.ts';
import type { Logger } from '../../../core/ports/logger.ts';
import { openEmbedded } from '../../../embedded/embedded.ts';
import { inForce, openSettings } from '../../../embedded/fixed-settings.ts';
import { openRecorder } from '../../../embedded/recorder.ts';
import { EmbeddedSystem } from '../../../embedded/system.ts';
import { defaultSettings, type Settings } from '../../../settings/embedded-settings.ts';
import { temporaryFolder } from '../../support/command.ts';
import { listen, noMetrics } from '../../support/memory-log.ts';

const folder = temporaryFolder('fixed-settings');
const data = join(folder.path, 'data');
const first = { data, origin: 'example', shards: 2, segmentMaxAgeMs: 1000 } as const;
afterAll(() => folder.release());

/** Opens the folder again as a caller who sets only `options`, and says what was logged. */
async function again(options: Partial<Settings>): Promise<{ readonly shards: number; readonly logged: readonly unknown[] }> {
  const logged: unknown[] = [];
  const heard = (message: string, fields?: object): void => void logged.push({ message, ...fields });
  const logger: Logger = { debug: () => undefined, info: () => undefined, warn: heard, error: heard, child: () => logger };
  const system = await EmbeddedSystem.open(openSettings({ data, ...options }), logger, noMetrics);
  await system.close();
  return { shards: system.pipeline.shards, logged };
}

describe('a data folder that was started before', () => {
  beforeAll(async () => {
    const embedded = await openEmbedded({ ...first, logLevel: 'error' });
    await embedded.collector.recordDurably({ stream: 's', type: 'CREATE', actor: 'a' });
    await embedded.finish();
    await embedded.close();
  }, 60_000);

  test('keeps what its first start fixed, if a caller leaves it out or says the same', async () => {
    expect(await again({})).toEqual({ shards: 2, logged: [] });
    expect(await again({ ...first })).toEqual({ shards: 2, logged: [] });
  });

  test('refuses another number of shards, and says which one it has', async () => {
    const refused = { code: 'CONFIG_INVALID', message: expect.stringContaining(`cannot open ${data} with 3 shards: it has keys for 2`) };
    await expect(again({ shards: 3 })).rejects.toMatchObject(refused);
    await expect(again({ shards: 1 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('it has keys for 2'),
    });
  });

  test('refuses another origin, and says which one it has', async () => {
    const message = expect.stringContaining(`cannot open ${data} as log other: it is the log example`);
    await expect(again({ origin: 'other' })).rejects.toMatchObject({ code: 'CONFIG_INVALID', message });
  });

  test('says which settings are not in force, and which values are', async () => {
    const { logged } = await again({ segmentMaxAgeMs: 5000, dedupWindowMs: 60_000 });
    expect(logged).toEqual([
      { message: LOG.settingNotInForce, setting: 'dedupWindowMs', given: 60_000, inForce: defaultSettings().dedupWindowMs, data },
      { message: LOG.settingNotInForce, setting: 'segmentMaxAgeMs', given: 5000, inForce: 1000, data },
    ]);
  });

  test('says what is in force', () => {
    const { dedupWindowMs } = defaultSettings();
    expect(inForce(data)).toEqual({ origin: 'example', shards: 2, dedupWindowMs, segmentMaxAgeMs: 1000 });
    expect(inForce(join(folder.path, 'nowhere'))).toEqual({});
  });

  test('is open to a spool beside its owner, with the same number of shards', async () => {
    const { logger, metrics } = listen();
    const owner = await EmbeddedSystem.open(openSettings({ data }), logger, metrics);
    try {
      const beside = await openRecorder(openSettings({ data }), 'job', logger, metrics);
      expect(beside).toMatchObject({ madeLog: undefined, spool: expect.stringContaining('spool/job-') });
      await beside.close();
      await expect(openRecorder(openSettings({ data, shards: 3 }), 'job', logger, metrics)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    } finally {
      await owner.close();
    }
  });

  test('blames keys that were lost', async () => {
    rmSync(join(data, 'keys', 'log-1.key'));
    await expect(again({})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/policy of example has 2.*restore them/),
    });
    rmSync(join(data, 'keys', 'log-0.key'));
    await expect(again({})).rejects.toMatchObject({ code: 'KEY_UNREADABLE' });
  });
});

test('settings of a caller of the library are checked, all at once', async () => {
  const wrong = {
    dta: 'x',
    shards: 0,
    lingerMs: '5',
    actors: 'loud',
    data: null,
    heartbeatMs: undefined,
    spoolMaxBytes: Number.NaN,
  } as never;
  await expect(openEmbedded(wrong)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(
      /dta is not a setting.*shards is 0: it must be a whole number.*lingerMs must be a number, not a string.*actors is "loud": it must be one of.*data must be a string, not null.*spoolMaxBytes is null: it must/,
    ),
  });
});
