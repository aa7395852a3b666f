// Makes test/golden anew: node --conditions=lineproof-source --import ./test/support/typescript.js test/golden/make.ts
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { verifyArchive } from '../../auditor/verify.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { goldenArchive } from '../support/golden-scene.ts';
import { goldenVerdict } from '../support/golden-verdict.ts';

const folder = import.meta.dirname;
const { objects, rootKey } = await goldenArchive();
rmSync(join(folder, 'archive'), { recursive: true, force: true });
let bytes = 0;
for (const [name, content] of objects.map) {
  const path = join(folder, 'archive', name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  bytes += content.length;
}
writeFileSync(join(folder, 'root.pub'), `${rootKey}\n`);
const verdict = goldenVerdict(await verifyArchive(objects, { keys: [parseVerifierKey(rootKey)] }));
writeFileSync(join(folder, 'verdict.json'), `${JSON.stringify(verdict, null, 2)}\n`);
process.stdout.write(`${objects.map.size} objects of ${bytes} bytes: ${verdict.result}\n`);
