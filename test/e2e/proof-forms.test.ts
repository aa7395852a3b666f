import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toBase64 } from '../../core/base/bytes.ts';
import { formatPrivateKey, keySigner } from '../../core/keys/key.ts';
import { type CommandResult, lineproof, ROOT, runProgram, temporaryFolder } from '../support/command.ts';
import { testWithPython } from '../support/naive-verifier.ts';
import { testSigner } from '../support/producer.ts';
import { installPython, pythonOf } from '../support/python.ts';

const TIMEOUT_MS = 120_000;
const REQUIREMENTS = join(ROOT, 'test/partners/requirements.txt');
const folder = temporaryFolder('proof-forms');
const run = (...args: string[]): Promise<CommandResult> => lineproof(args, { cwd: folder.path });
const read = (path: string): Uint8Array => readFileSync(join(folder.path, path));
const keyOf = (name: string): string => new TextDecoder().decode(read(`.lineproof/keys/${name}.pub`)).trim();
const DIGEST = '2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae';

beforeAll(async () => {
  await installPython('partners', REQUIREMENTS);
  const events = Array.from({ length: 300 }, (_, i) => ({
    stream: 'orders',
    type: 'CREATE',
    actor: 'shop',
    outputs: i % 2 === 0 ? [{ name: `order ${i}`, digest: DIGEST }] : [`order ${i}`],
  }));
  writeFileSync(join(folder.path, 'events.jsonl'), events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  writeFileSync(join(folder.path, 'export.key'), formatPrivateKey('exporter.example', new Uint8Array(32).fill(7)), { mode: 0o600 });
  expect((await run('emit', 'events.jsonl', '--quiet')).code).toBe(0);
  expect((await run('start', '--until-idle')).code).toBe(0);
  // A second segment: receipts are over the tree head at the end of the event's own.
  expect((await run('emit', 'events.jsonl', '--quiet')).code).toBe(0);
  expect((await run('start', '--until-idle')).code).toBe(0);
}, TIMEOUT_MS);

afterAll(() => folder.release());

/** What the partners' libraries say of each line. */
async function partners(lines: readonly Readonly<Record<string, string>>[]): Promise<Record<string, unknown>[]> {
  const input = `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;
  const { stdout, stderr } = await runProgram(pythonOf('partners', REQUIREMENTS), [join(ROOT, 'test/partners/check_exports.py')], {
    input,
  });
  expect(stderr).toBe('');
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const logKey = (): string =>
  keyOf(
    readdirSync(join(folder.path, '.lineproof/keys'))
      .find((name) => /^log.*\.pub$/.test(name))
      ?.slice(0, -4) ?? '',
  );

describe('prove --as cose', () => {
  testWithPython(
    'writes receipts that scitt-cose verifies by the log key, each of its own leaf only',
    async () => {
      expect((await run('prove', '--stream', 'orders', '--as', 'cose', '--out', 'cose')).code).toBe(0);
      const receipts = readdirSync(join(folder.path, 'cose')).filter((name) => name.endsWith('.receipt'));
      expect(receipts.length).toBe(600);
      const log = logKey().split('+')[0];
      const some = [0, 1, 255, 256, 299, 300, 431, 599].map((i) => receipts[i] as string);
      const lines = some.map((name) => ({
        key: logKey(),
        receipt: toBase64(read(`cose/${name}`)),
        leaf: toBase64(read(`cose/${name.replace('.receipt', '.leaf')}`)),
      }));
      const says = await partners(lines);
      for (const [i, name] of some.entries()) {
        const index = Number(name.split('-')[2]);
        const { size } = says[i] as { size: number };
        const kid = logKey().split('+').slice(0, 2).join('+');
        expect([name, says[i]]).toEqual([name, { ok: true, size, index, issuer: log, subject: `${log}@${size}`, kid, canonical: true }]);
      }
      const [first, second] = lines as [(typeof lines)[0], (typeof lines)[0]];
      const altered = Uint8Array.from(read(`cose/${some[0]}`));
      altered[altered.length - 1] = (altered.at(-1) as number) ^ 1;
      const wrong = [
        { ...first, leaf: second.leaf },
        { ...first, key: keyOf('root') },
        { ...first, receipt: toBase64(altered) },
      ];
      expect((await partners(wrong)).map(({ ok }) => ok)).toEqual([false, false, false]);
    },
    TIMEOUT_MS,
  );

  test('says which object is missing or wrong', async () => {
    const archive = join(folder.path, 'other');
    await runProgram('cp', ['-r', join(folder.path, '.lineproof/archive'), archive]);
    const checkpoints = join(archive, 'logs/0/checkpoints');
    const heads = readdirSync(checkpoints).filter((name) => name.endsWith('.cose'));
    for (const name of heads) writeFileSync(join(checkpoints, name), Uint8Array.from(readFileSync(join(checkpoints, name))).fill(9, -64));
    const made = await run('prove', 'other', '--leaf', '0/0', '--as', 'cose', '--out', 'never');
    expect([made.code, made.stdout]).toEqual([1, '']);
    expect(made.stderr).toMatch(/logs\/0\/checkpoints\/\d+\.cose is not a log key's, or of another tree/);
  });
});

describe('prove --as in-toto', () => {
  testWithPython(
    'writes a DSSE envelope of the named key, with the data that the event names as subjects and the proof inside',
    async () => {
      const made = await run('prove', '--leaf', '0/2', '--as', 'in-toto', '--signer', 'export.key', '--out', 'statement.intoto.json');
      expect([made.code, made.stdout]).toEqual([0, 'statement.intoto.json\n']);
      const envelope = toBase64(read('statement.intoto.json'));
      const key = keySigner('exporter.example', new Uint8Array(32).fill(7)).verifierKey;
      const [says, other] = await partners([
        { envelope, key },
        { envelope, key: testSigner('exporter.example').verifierKey },
      ]);
      expect(says).toMatchObject({
        ok: true,
        keyid: key.split('+').slice(0, 2).join('+'),
        statement: { _type: 'https://in-toto.io/Statement/v1', subject: [{ name: 'order 2', digest: { sha256: DIGEST } }] },
      });
      expect(other).toEqual({ ok: false });
      const { tlogProof } = (says as { statement: { predicate: { tlogProof: string } } }).statement.predicate;
      writeFileSync(join(folder.path, 'inside.tlog-proof'), Buffer.from(tlogProof, 'base64'));
      expect((await run('check', 'inside.tlog-proof', '--key', '@.lineproof/keys/root.pub')).code).toBe(0);
    },
    TIMEOUT_MS,
  );

  test('needs a key of the exporter, and data with a digest', async () => {
    const unsigned = await run('prove', '--leaf', '0/2', '--as', 'in-toto');
    expect([unsigned.code, unsigned.stderr]).toEqual([2, expect.stringContaining('--signer KEYFILE')]);
    const bare = await run('prove', '--leaf', '0/1', '--as', 'in-toto', '--signer', 'export.key');
    expect([bare.code, bare.stderr]).toEqual([74, expect.stringContaining('names no data with a digest')]);
  });
});

describe('prove --as json', () => {
  test('writes the event beside its proof', async () => {
    const made = await run('prove', '--leaf', '0/2', '--as', 'json', '--out', '-');
    const told = JSON.parse(made.stdout);
    expect(told).toMatchObject({ leaf: 2, stream: 'orders', streamIndex: 2, event: { outputs: [{ name: 'order 2' }] } });
    const checked = await lineproof(['check', '-', '--key', keyOf('root')], { input: Buffer.from(told.tlogProof, 'base64').toString() });
    expect(checked.code).toBe(0);
  });
});

describe('check', () => {
  test('says of the other forms what they are, and never OK', async () => {
    expect((await run('prove', '--leaf', '0/2', '--as', 'json', '--out', 'two.json')).code).toBe(0);
    expect((await run('prove', '--leaf', '0/2', '--as', 'cose', '--out', 'two.receipt')).code).toBe(0);
    const says = await run('check', 'two.json', 'two.receipt', 'two.leaf', '--key', keyOf('root'));
    expect(says.code).toBe(1);
    expect(says.stdout).toContain('it is JSON');
    expect(says.stdout).toContain('it is the leaf of a COSE receipt');
    expect(says.stdout).toContain('it is a COSE receipt');
  });

  test('names a file that it cannot read, and tells of the others all the same', async () => {
    await run('prove', '--leaf', '0/2', '--out', 'good.tlog-proof');
    const says = await run('check', 'good.tlog-proof', 'nosuch', '--key', keyOf('root'));
    expect(says.code).toBe(74);
    expect(says.stdout).toContain('OK          good.tlog-proof');
    expect(says.stdout).not.toContain('VERDICT: OK');
    expect(says.stderr).toMatch(/cannot read proof nosuch: .*ENOENT/);
  });
});
