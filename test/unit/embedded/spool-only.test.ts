import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { makeEmbeddedKeys } from '../../../embedded/keys.ts';
import { openSpoolOnly } from '../../../embedded/system.ts';
import { defaultSettings } from '../../../settings/embedded-settings.ts';
import { event } from '../../support/collector.ts';
import { temporaryFolder } from '../../support/command.ts';
import { listen } from '../../support/memory-log.ts';

const folder = temporaryFolder('spool-only');
afterAll(() => folder.release());

test('a spool beside a running system keeps to the settings of the spool', async () => {
  await makeEmbeddedKeys(join(folder.path, 'keys'), '', 1);
  const settings = { ...defaultSettings(), data: folder.path, spoolMaxBytes: 1, spoolWhenFull: 'refuse' as const };
  const { logger, metrics } = listen();
  const collector = await openSpoolOnly(settings, 'job', logger, metrics);
  try {
    collector.record(event(0));
    expect(() => collector.record(event(0))).toThrow(expect.objectContaining({ code: 'SPOOL_FULL' }));
  } finally {
    await collector.close();
  }
});
