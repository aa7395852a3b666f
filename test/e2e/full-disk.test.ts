import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { MAIN, runProgram, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 60_000;
const folder = temporaryFolder('full-disk');
afterAll(() => folder.release());

/** On a disk that first is too small and then is not. Each command's output goes to files beside the disk. */
const SCRIPT = `
mount -t tmpfs -o size=1200k none disk || exit 99
cd disk
lineproof() { "$NODE" "$MAIN" "$@"; }
lineproof start --until-idle || exit 98
lineproof emit ../lines > ../ids 2> ../emit.err; echo "emit $?"
lineproof run -- true 2> ../run.err; echo "run $?"
mount -o remount,size=64m none . || exit 97
lineproof start --until-idle > ../start.out || exit 96
lineproof query --stream a | sed 's/.* //' | sort > ../linked
sort ../ids | comm -23 - ../linked | wc -l
echo "$(grep -c . ../ids) ids"
`;

test(
  'a disk that fills up loses no event whose id was printed, and is told without a stack or a flood',
  async () => {
    mkdirSync(join(folder.path, 'disk'));
    const text = 'x'.repeat(120);
    const lines = Array.from({ length: 4_000 }, (_, n) =>
      JSON.stringify({ stream: 'a', type: 'CREATE', actor: 'x', attributes: { n: `${n} ${text}` } }),
    );
    writeFileSync(join(folder.path, 'lines'), `${lines.join('\n')}\n`);
    const shell = ['unshare', process.getuid?.() === 0 ? '-m' : '-Urm', 'sh', '-c', SCRIPT] as const;
    const { code, stdout, stderr } = await runProgram(shell[0], shell.slice(1), {
      cwd: folder.path,
      env: { NODE: process.execPath, MAIN },
    });
    expect([code, stderr]).toEqual([0, '']);
    const said = await runProgram('cat', [join(folder.path, 'emit.err'), join(folder.path, 'run.err')]);
    expect(said.stdout).not.toMatch(/^\s+at /m);
    const kinds = said.stdout.split('\n').flatMap((line) => /"msg":"[^"]*"/.exec(line)?.[0] ?? []);
    for (const kind of new Set(kinds)) expect([kind, kinds.filter((each) => each === kind).length <= 12]).toEqual([kind, true]);
    // Whether the disk is full for the state when the command ends depends on time: then its events are on disk, and that is what it says.
    const [, ended, lost] = /\nemit (0|74)\nrun 0\n(\d+)\n[1-9]\d* ids\n$/.exec(stdout) ?? [];
    const told =
      /: line \d+ (?:was not recorded|may not be on disk): .*\[DISK_FULL\]|: what was recorded is on disk, and not linked yet; .*the disk is full/;
    expect([ended, told.test(said.stdout), lost]).toEqual([ended, ended === '74', '0']);
    expect(said.stdout).toMatch(/the disk is full/);
  },
  TIMEOUT_MS,
);

const PROVE = `
echo '{"stream": "a", "type": "CREATE", "actor": "x"}' | "$NODE" "$MAIN" emit --segment-max-age-ms 1000 > id || exit 99
"$NODE" "$MAIN" start --until-idle > start.out || exit 98
mkdir full && mount -t tmpfs -o size=64k none full || exit 97
head -c 1000000 /dev/zero > full/other 2> /dev/null
"$NODE" "$MAIN" prove --leaf 0/0 --out full/proof.tlog-proof 2> prove.err; echo "prove $?"
ls -A full; rm full/other
"$NODE" "$MAIN" prove --leaf 0/0 --out full/proof.tlog-proof 2> /dev/null; echo "prove $?"
`;

test(
  'a full disk leaves no file that looks like a proof, and with some space the same command writes it',
  async () => {
    mkdirSync(join(folder.path, 'prove'));
    const { code, stdout } = await runProgram('unshare', [process.getuid?.() === 0 ? '-m' : '-Urm', 'sh', '-c', PROVE], {
      cwd: join(folder.path, 'prove'),
      env: { NODE: process.execPath, MAIN },
    });
    expect([code, stdout]).toEqual([0, 'prove 74\nother\nfull/proof.tlog-proof\nprove 0\n']);
    expect(readFileSync(join(folder.path, 'prove', 'prove.err'), 'utf8')).toContain('the disk is full; free some space [DISK_FULL]');
  },
  TIMEOUT_MS,
);
