import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { onCluster } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { lineproof } from '../support/command.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;
const LINES = 300;

describeOnStack('attested recording on Kafka and S3', () => {
  let stack: StackSettings;
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'gives a proof of each line, OK by the root key, while the segments of all of them are open for an hour; a second time the same proofs',
    () =>
      onCluster(stack, { shards: 2, segmentMaxAgeMs: 3_600_000 }, async (cluster) => {
        const services = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')];
        await Promise.all(services.map((service) => service.ready()));
        const file = linesFile(join(cluster.folder, 'lines'), loadLines(0, LINES, 12));
        const out = join(cluster.folder, 'proofs');
        mkdirSync(out);
        const started = performance.now();
        await cluster.emit('collector', file, '--attested', '--out', out);
        process.stderr.write(`${LINES} lines attested in ${Math.round(performance.now() - started)} ms\n`);
        for (const shard of [0, 1]) for await (const { key } of cluster.objects.list(logKeysOf(shard).segments)) throw new Error(key);
        const proofs = readdirSync(out).map((name) => join(out, name));
        expect(proofs).toHaveLength(LINES);
        const root = `@${join(cluster.folder, 'keys', 'root.pub')}`;
        const checked = await lineproof(['check', ...proofs, '--key', root]);
        expect([checked.code, checked.stdout.trim().split('\n').at(-1)]).toEqual([0, `VERDICT: OK (${LINES} proofs)`]);
        await cluster.emit('collector', file, '--attested', '--out', join(cluster.folder, 'again'));
        const leaves = (names: readonly string[]): Set<string> => new Set(names.map((name) => name.replace(/-of-.*/, '')));
        expect(leaves(readdirSync(join(cluster.folder, 'again')))).toEqual(leaves(readdirSync(out)));
      }),
    TIMEOUT_MS,
  );
});
