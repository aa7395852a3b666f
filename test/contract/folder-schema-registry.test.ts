import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openFolderSchemaRegistry } from '../../adapters/folder-schema-registry.ts';
import { temporaryFolder } from '../support/command.ts';
import { codeOf } from './contract.ts';
import { schemaRegistryContract } from './schema-registry-contract.ts';

schemaRegistryContract('folder', async () => {
  const { path, release } = temporaryFolder('registry');
  return { prefix: 'contract', open: () => openFolderSchemaRegistry(path), release: async () => release() };
});

test('a damaged file makes the registry UNAVAILABLE, and is never held against a producer', async () => {
  const { path, release } = temporaryFolder('registry');
  const registry = await openFolderSchemaRegistry(path);
  const id = await registry.register('subject', '"string"');
  const [file] = readdirSync(path).filter((name) => name.endsWith('.json')) as [string];
  for (const damage of ['{"subject":"subject"', '{"subject":"subject"}', '[]', '']) {
    writeFileSync(join(path, file), damage);
    const calls = [() => registry.get(id), () => registry.list('subject'), () => registry.register('subject', '"string"')];
    for (const call of calls) expect([damage, await codeOf(call)]).toEqual([damage, 'UNAVAILABLE']);
  }
  release();
});
