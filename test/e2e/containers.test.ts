import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { type CommandResult, lineproof, MAIN, runProgram, temporaryFolder } from '../support/command.ts';
import { mounted } from '../support/places.ts';

const TIMEOUT_MS = 120_000;
const folder = temporaryFolder('containers');
afterAll(() => folder.release());

/** Mounts a disk for data, makes everything else read-only, and takes /proc away. */
const CONTAINER = `
mount -t tmpfs none /mnt || exit 99
for point in $(awk '{ print $5 }' /proc/self/mountinfo); do
  case $point in /mnt|/proc*|/dev*|/sys*) ;; *) mount -o remount,bind,ro "$point" 2> /dev/null ;; esac
done
mount -t tmpfs none /proc || exit 98
cd /mnt
exec "$0" "$@"`;

/** Runs a shell script in such a container, where \`lineproof\` is the command. */
function inside(script: string): Promise<CommandResult> {
  const shell = `lineproof() { "${process.execPath}" "${MAIN}" "$@"; }\n${script}`;
  const [program, ...args] = [...mounted(CONTAINER), '/bin/sh', '-c', shell];
  return runProgram(program, args, { cwd: folder.path });
}

test(
  'with a read-only root, without /proc, and with one writable place, everything works there and nowhere else',
  async () => {
    writeFileSync(join(folder.path, 'lines'), '{"stream":"a","type":"CREATE","actor":"x"}\n');
    const { code, stdout, stderr } = await inside(`
touch ${folder.path}/here 2> /dev/null && exit 97
lineproof emit --data data --segment-max-age-ms 1000 ${folder.path}/lines > ids || exit 96
lineproof run --data data --quiet -- /bin/echo it runs || exit 95
lineproof start --data data --until-idle --verify > said || exit 94
lineproof query --data data --stream a | grep -c "$(cat ids)" || exit 93
lineproof query --data data --stream run/echo | grep -c TRANSFORM || exit 92
lineproof start --data ${folder.path}/data --until-idle; echo "elsewhere $?"
grep VERDICT said`);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'it runs\n1\n1\nelsewhere 74\nVERDICT: OK\n',
      stderr: expect.stringMatching(/^lineproof: first start: .*\nlineproof: cannot make folder .*data: EROFS.* \[IO_FAILED\]\n$/),
    });
  },
  TIMEOUT_MS,
);

test('a system that recorded nothing has no archive to verify, and says so', async () => {
  const { code, stderr } = await lineproof(['start', '--until-idle', '--verify', '--data', join(folder.path, 'nothing')]);
  expect([code, stderr]).toEqual([4, 'lineproof: nothing was recorded yet, so there is no archive to verify\n']);
});
