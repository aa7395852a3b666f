import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openFolderObjectStore } from '../../adapters/folder-object-store.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { openEmbedded } from '../../embedded/embedded.ts';
import { temporaryFolder } from '../support/command.ts';

const folder = temporaryFolder('repeated');
afterAll(() => folder.release());

test('an event that comes again after its block was attested, and before the dedup index has its identity, is a duplicate', async () => {
  const embedded = await openEmbedded({ data: join(folder.path, 'data'), segmentMaxAgeMs: 1000, lingerMs: 0, logLevel: 'error' });
  const event = {
    stream: 'orders',
    type: 'CREATE',
    actor: 'shop',
    id: '01890a5d-ac96-774b-bcce-b302099a8057',
    occurredAt: new Date(0),
  } as const;
  embedded.collector.record(event);
  await embedded.collector.flush();
  while (!existsSync(join(embedded.archive, 'logs/0/signed'))) await new Promise((resolve) => void setImmediate(resolve));
  embedded.collector.record(event);
  await embedded.finish();
  await embedded.close();
  const objects = await openFolderObjectStore(embedded.archive);
  const { ok, properties } = await verifyArchive(objects, { keys: [parseVerifierKey(embedded.rootKey)] });
  expect([ok, properties.STREAMS.counts['links'], properties.UNIQUE.counts['duplicates']]).toEqual([true, 1, 1]);
}, 60_000);
