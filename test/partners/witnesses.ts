// An archiver and witnesses that nobody here wrote: npm run test:partners
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../adapters/system-clock.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { logKeysOf, parseArchiveKey } from '../../core/archive/archive-keys.ts';
import { utf8, utf8Text } from '../../core/base/bytes.ts';
import { cosignersOf } from '../../core/keys/cosigners.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { readNote } from '../../core/keys/note.ts';
import { parseWitnessPolicy } from '../../core/keys/witness-policy.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { archiveChain, makeChain } from '../support/archive.ts';
import { MemoryObjectStore } from '../support/memory.ts';
import { makeWorld } from '../support/producer.ts';
import { startWitness, witnessingOf } from '../support/witnesses.ts';
import { litewitness, omniwitness, type Partner } from './partners.ts';

const folder = mkdtempSync(join(tmpdir(), 'lineproof-partners-'));
const logKey = ((await makeWorld()).logs[0] as Signer).verifierKey;
const partners: Partner[] = [];
const failures: string[] = [];
const tell = (what: string, holds: boolean): void => {
  process.stdout.write(`${holds ? 'ok    ' : 'FAILED'}  ${what}\n`);
  if (!holds) failures.push(what);
};

try {
  const own = await startWitness('own', [parseVerifierKey(logKey)]);
  partners.push({ ...own, stop: () => own.close() }, await omniwitness(folder, logKey), await litewitness(folder, logKey));
  const witnessing = witnessingOf(partners, partners.length, { required: true, deadlineMs: 20_000 });
  const times = { segmentMaxAgeMs: 60_000, dedupWindowMs: 120_000, clockSkewMs: 1000, laneRetentionMs: 3_600_000 };
  const world = await makeWorld({ policy: (policy) => ({ ...policy, ...times, witnessing }) });
  const chain = await makeChain(9, world);
  const objects = new MemoryObjectStore();
  await archiveChain(chain, objects, { clock: systemClock });
  tellNotes(objects, 'first run');
  for (let i = 0; i < 6; i++) await chain.grow([`later ${i}`]);
  await archiveChain(chain, objects, { clock: systemClock });
  tellNotes(objects, 'after growth, from what each witness knew');
  const policy = parseWitnessPolicy(utf8(witnessing.witnesses));
  const verdict = await verifyArchive(objects, { keys: [parseVerifierKey(world.root.verifierKey)], witnesses: [{ name: 'all', policy }] });
  tell(`the auditor says WITNESSES ${verdict.properties.WITNESSES.result}`, ['OK', 'OPEN'].includes(verdict.properties.WITNESSES.result));
  tell(
    `the newest quorum covers ${verdict.shards[0]?.witnessed?.size} of ${verdict.shards[0]?.size} leaves`,
    verdict.shards[0]?.witnessed?.size === chain.state.head.size,
  );
} finally {
  for (const partner of partners) await partner.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(failures.length === 0 ? 'All partners agree.\n' : `${failures.length} did not hold.\n`);
process.exitCode = failures.length === 0 ? 0 : 1;

/** Who cosigned the published note and those that are kept. */
function tellNotes({ objects }: MemoryObjectStore, when: string): void {
  const kept = [...objects.keys()].filter((key) => parseArchiveKey(key).kind === 'checkpointAt');
  for (const key of [logKeysOf(0).checkpoint, ...kept]) {
    const stored = objects.get(key);
    const { text, signatures } = readNote(stored === undefined ? '' : utf8Text(stored));
    const keys = partners.map((partner) => parseVerifierKey(partner.key));
    const { good, wrong } = cosignersOf(text, signatures, keys);
    const names = good.map((each) => partners.find((partner) => partner.key === each.key.text)?.name ?? '');
    tell(`${when}: ${key}: ${names.join(', ')}`, names.length === partners.length && wrong.length === 0);
  }
}
