import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { Progress } from '../../cli/progress.ts';
import { flip } from '../support/alterations.ts';
import { type CommandResult, lineproof, MAIN, makeRepository, runProgram, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 600_000;
const folder = temporaryFolder('verify-command');
const data = join(folder.path, '.lineproof');
const archive = join(data, 'archive');
const rootFile = join(data, 'keys', 'root.pub');

/** Objects of the archive, sorted; all but the table of contents, snapshots and older partial tiles are required. */
function objectsOf(): string[] {
  const files = readdirSync(archive, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => relative(archive, join(entry.parentPath, entry.name))).toSorted((a, b) => (a < b ? -1 : 1));
}

function verify(...args: string[]): Promise<CommandResult> {
  return lineproof(['verify', archive, ...args]);
}

/** Changes one object, verifies, and puts it back. */
async function withObject(key: string, change: (path: string, bytes: Uint8Array) => void): Promise<CommandResult> {
  const path = join(archive, key);
  // A copy: `slice` of a Buffer would be a view of it.
  const bytes = Uint8Array.from(readFileSync(path));
  change(path, bytes);
  const result = await verify('--key', rootFile, '--json');
  rmSync(path, { force: true });
  writeFileSync(path, bytes);
  return result;
}

/** Exit code, and whether a finding that fails names the object and its property failed. */
function judged({ code, stdout }: CommandResult, key: string): readonly [number | null, boolean] {
  const { findings, properties } = JSON.parse(stdout) as Verdict;
  const named = findings.filter(({ severity, place }) => severity === 'FAILED' && place.object === key);
  return [code, named.length > 0 && named.every(({ property }) => properties[property].result === 'FAILED')];
}

beforeAll(async () => {
  const start = ['start', '--collect', 'git', '.', '--until-idle', '--segment-max-age-ms', '1000'];
  for (const from of [0, 5]) {
    await makeRepository(folder.path, 5, from);
    expect(await lineproof(start, { cwd: folder.path })).toMatchObject({ code: 0 });
  }
}, TIMEOUT_MS);

afterAll(() => folder.release());

describe('verify, as a user types it', () => {
  test(
    'a real archive: exit 0, the verdict on stdout, nothing on stderr',
    async () => {
      const { code, stdout, stderr } = await verify('--key', rootFile);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(
        /^Archive of local\/[0-9a-f]{8}, as it was read:\n[\s\S]*\nProven by the root key local\/.*\n[\s\S]*\nVERDICT: OK\n$/,
      );
      expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    'each object missing, and each with a bit flipped: exit 1, naming object and property, unless nothing requires it',
    async () => {
      const objects = objectsOf();
      const partial = /^logs\/0\/tile\/.*\.p\/(\d+)$/;
      const widths = new Map<string, number>();
      for (const key of objects) {
        const width = Number(partial.exec(key)?.[1] ?? 0);
        const tile = key.replace(/\.p\/\d+$/, '');
        if (width > (widths.get(tile) ?? 0)) widths.set(tile, width);
      }
      const isOptional = (key: string): boolean =>
        key === 'archive.json' ||
        key.includes('/snapshots/') ||
        (partial.test(key) && Number(partial.exec(key)?.[1]) < (widths.get(key.replace(/\.p\/\d+$/, '')) ?? 0));
      expect(objects.filter((key) => !isOptional(key)).length).toBeGreaterThanOrEqual(12);
      expect(objects.filter(isOptional).length).toBeGreaterThanOrEqual(2);
      for (const [i, key] of objects.entries()) {
        const missing = await withObject(key, (path) => rmSync(path));
        expect([key, ...(isOptional(key) ? [missing.code] : judged(missing, key))]).toEqual(isOptional(key) ? [key, 0] : [key, 1, true]);
        const altered = await withObject(key, (path, bytes) => writeFileSync(path, flip(bytes, (i * 7919) % (bytes.length * 8))));
        expect([key, ...judged(altered, key)]).toEqual([key, 1, true]);
      }
      expect((await verify('--key', rootFile)).code).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    'a copy elsewhere is verified by the text of the key',
    async () => {
      const copy = temporaryFolder('verify-copy');
      cpSync(archive, copy.path, { recursive: true });
      expect((await lineproof(['verify', copy.path, '--key', readFileSync(rootFile, 'utf8').trim()])).code).toBe(0);
      copy.release();
    },
    TIMEOUT_MS,
  );
});

describe('keys', () => {
  test(
    'none: UNPROVEN, exit 4, and the key to ask for is named',
    async () => {
      const { code, stdout } = await verify();
      expect([code, stdout.replaceAll(/\s+/g, ' ')]).toEqual([
        4,
        expect.stringMatching(/VERDICT: UNPROVEN: no key pinned; the archive calls local\//),
      ]);
    },
    TIMEOUT_MS,
  );

  test.each([
    ['neither a key nor a file', () => 'nonsense', 2, /--key "nonsense" is neither/],
    ['a key that is cut', () => readFileSync(rootFile, 'utf8').slice(0, -5), 2, /is not a verifier key \(name\+id\+base64\).*@FILE/],
    ['a folder', () => data, 78, /cannot read key file .*: EISDIR/],
    ['a file without a key', () => join(data, 'keys', 'actors.key'), 78, /cannot read key file .*: EILSEQ/],
    ['a file in the archive', () => join(archive, 'archive.json'), 2, /archive\.json lies in the archive/],
    ['a private key file', () => join(data, 'keys', 'root.key'), 2, /root\.key is a private key; .*\.pub/],
  ])(
    '%s: said on stderr, with nothing of its content',
    async (_, given, code, message) => {
      const result = await verify('--key', given());
      expect([result.code, result.stdout, result.stderr]).toEqual([code, '', expect.stringMatching(message)]);
    },
    TIMEOUT_MS,
  );

  test(
    'the text of a private key is refused and never repeated',
    async () => {
      const secret = readFileSync(join(data, 'keys', 'root.key'), 'utf8').trim();
      const { code, stderr } = await verify('--key', secret);
      expect([code, stderr]).toEqual([2, expect.stringMatching(/is a private key/)]);
      expect(stderr).not.toContain(secret.slice(20));
    },
    TIMEOUT_MS,
  );
});

describe('demands', () => {
  test(
    'an origin, a first version of the policy, and properties that must be checked',
    async () => {
      const { genesis, origin } = JSON.parse((await verify('--key', rootFile, '--json')).stdout) as Verdict;
      const exit = async (...args: string[]): Promise<number | null> => (await verify('--key', rootFile, ...args)).code;
      expect(await exit('--origin', origin, '--genesis', genesis as string, '--require', 'LOG,signatures')).toBe(0);
      expect(await exit('--origin', 'example.org/other')).toBe(1);
      expect(await exit('--genesis', '7'.repeat(64))).toBe(1);
      expect(await exit('--require', 'witnesses')).toBe(3);
      expect([await exit('--genesis', '7'), await exit('--require', 'TRUTH'), await exit('--origin')]).toEqual([2, 2, 2]);
    },
    TIMEOUT_MS,
  );

  test(
    'a verdict in JSON says what each code in it means',
    async () => {
      const stranger = join(archive, 'stranger.txt');
      writeFileSync(stranger, 'x');
      const { code, stdout } = await verify('--key', rootFile, '--json');
      rmSync(stranger);
      expect([code, JSON.parse(stdout)]).toEqual([
        0,
        expect.objectContaining({
          result: 'OK',
          ok: true,
          refused: expect.objectContaining({ messages: 0, events: 0, byReason: [] }),
          codes: { UNKNOWN_OBJECT: { meaning: expect.any(String), advice: expect.any(String) } },
        }),
      ]);
    },
    TIMEOUT_MS,
  );
});

describe('folders that are not archives', () => {
  test(
    'the data folder, an empty folder, a file, nothing: exit 74, and what to do',
    async () => {
      const empty = join(folder.path, 'empty');
      mkdirSync(empty);
      const cases: [string, RegExp][] = [
        [data, /it is not an archive; .*archive looks like one/],
        [folder.path, /it is not an archive; .*\.lineproof\/archive looks like one/],
        [join(archive, 'logs'), /it is not an archive; .*archive looks like one/],
        [join(data, 'keys'), /it is not an archive, or an empty one: .*the folder holds actors\.key, .* and \d more/],
        [empty, /it is not an archive, or an empty one: .*the folder is empty/],
        [rootFile, /it is not a folder/],
        [join(folder.path, 'nowhere'), /there is no such folder/],
        ['gs://bucket/prefix', /s3:\/\/BUCKET/],
      ];
      const keyed = await lineproof(['verify', data, '--key', `@${rootFile}`]);
      expect([keyed.code, keyed.stderr]).toEqual([74, expect.stringMatching(/it is not an archive; .*archive looks like one/)]);
      for (const command of ['verify', 'query'])
        for (const [path, message] of cases) {
          const { code, stdout, stderr } = await lineproof([command, path]);
          expect([command, code, stdout, stderr]).toEqual([command, 74, '', expect.stringMatching(message)]);
          if (code === 74) expect(stderr).toContain('[NOT_FOUND]');
        }
    },
    TIMEOUT_MS,
  );

  test(
    'an archive whose only policy is gone: exit 1, naming it',
    async () => {
      const [name] = readdirSync(join(archive, 'policies'));
      renameSync(join(archive, 'policies', name as string), join(folder.path, 'aside'));
      const { code, stdout } = await verify('--key', rootFile);
      renameSync(join(folder.path, 'aside'), join(archive, 'policies', name as string));
      expect([code, stdout]).toEqual([1, expect.stringContaining(`policies/${name}`)]);
      expect(stdout).toContain('VERDICT: FAILED: POLICY');
    },
    TIMEOUT_MS,
  );
});

describe('query', () => {
  test(
    'reads the archive of the data folder if none is given',
    async () => {
      const named = await lineproof(['query', archive]);
      expect(named).toMatchObject({ code: 0, stderr: '' });
      expect((await lineproof(['query'], { cwd: folder.path })).stdout).toBe(named.stdout);
      expect((await lineproof(['query', '--data', data])).stdout).toBe(named.stdout);
      expect((await lineproof(['query'], { env: { LINEPROOF_HOME: data } })).stdout).toBe(named.stdout);
      expect(named.stdout.split('\n')[0]).toMatch(/^0\/0 +\d{4}-\d\d-\d\dT[0-9:.]+Z {2}[A-Z]+ +\S+ #0 {2}[0-9a-f-]{36}$/);
    },
    TIMEOUT_MS,
  );

  test(
    'a stream that does not exist: nothing on stdout, and the streams that exist on stderr',
    async () => {
      const { code, stdout, stderr } = await lineproof(['query', archive, '--stream', 'wrong\u001b[2J']);
      expect([code, stdout]).toEqual([0, '']);
      expect(stderr).toMatch(/^no archived events of stream "wrong\\\\u\{1b\}\[2J"; there are events of ".+"\n$/);
    },
    TIMEOUT_MS,
  );

  test(
    'help says what a line holds and how bytes are written',
    async () => {
      const { code, stdout } = await lineproof(['query', '--help']);
      expect([code, stdout]).toEqual([0, expect.stringMatching(/SHARD\/LEAF[\s\S]*UUIDs[\s\S]*hexadecimal/)]);
      expect((await lineproof(['verify', '--help'])).stdout).toMatch(
        /1 {2}FAILED:[\s\S]*3 {2}NOT CHECKED:[\s\S]*4 {2}UNPROVEN:[\s\S]*5 {2}OPEN:[\s\S]*0 {2}OK:[\s\S]*74:/,
      );
    },
    TIMEOUT_MS,
  );
});

describe('a result that cannot be written', () => {
  const shell = (line: string): Promise<CommandResult> =>
    runProgram('bash', ['-c', line, 'bash', process.execPath, MAIN, archive, rootFile]);

  test(
    'is an error, whatever it was: a verdict that nobody could read is not OK',
    async () => {
      for (const line of ['"$1" "$2" verify "$3" --key "$4" > /dev/full', 'set -o pipefail; "$1" "$2" verify "$3" --key "$4" | true'])
        expect([line, (await shell(line)).code]).toEqual([line, 74]);
      expect((await shell('"$1" "$2" verify "$3" --key "$4" > /dev/full')).stderr).toMatch(/cannot write the result: ENOSPC/);
    },
    TIMEOUT_MS,
  );

  test(
    'ends a list quietly if its reader has seen enough, and not if the disk is full',
    async () => {
      expect(await shell('set -o pipefail; "$1" "$2" query "$3" | true')).toMatchObject({ code: 0, stderr: '' });
      expect((await shell('"$1" "$2" query "$3" > /dev/full')).code).toBe(74);
    },
    TIMEOUT_MS,
  );
});

describe('progress', () => {
  test('is drawn on a terminal, taken away at the end, and absent elsewhere', () => {
    for (const isTTY of [true, false]) {
      let text = '';
      const stream = { isTTY, write: (piece: string) => (text += piece) } as unknown as NodeJS.WritableStream & { isTTY: boolean };
      const progress = new Progress(stream);
      progress.update('verifying', 1, 2);
      progress.clear();
      expect(text).toBe(isTTY ? '\r\u001B[2Kverifying [============            ]  50 %\r\u001B[2K' : '');
    }
  });
});
