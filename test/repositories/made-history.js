// A history that git fast-import makes: any number of commits, with all kinds of files, moves, merges, a second root, and names that are not UTF-8.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

const FIRST_SECOND = 1_000_000_000;
const AUTHORS = ['Ada <ada@example.org>', 'G\xfcnter <g@example.org>', 'null\\x41 <>', 'Žofie <z@example.org>'];

function data(text) {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from('\n')]);
}

/** The files of the i-th commit: mostly a change of one of 500 files, now and then something unusual. */
function filesOf(i) {
  const path = `folder-${i % 20}/file-${i % 500}.txt`;
  const lines = [Buffer.from(`M 100644 inline ${path}\n`), data(`content ${i}\n`)];
  // Of a commit of the same branch, so that the file is there.
  if (i > 120 && i % 40 > 4 && i % 40 < 20 && i % 10 === 7)
    lines.push(Buffer.from(`R folder-${(i - 3) % 20}/file-${(i - 3) % 500}.txt "moved/\\303\\274 ${i}\\377.txt"\n`));
  if (i % 50 === 11) lines.push(Buffer.from(`M 100755 inline tool-${i % 9}\n`), data(`#!/bin/sh\necho ${i}\n`));
  if (i % 50 === 12) lines.push(Buffer.from(`M 100644 inline tool-${(i - 1) % 9}\n`), data(`#!/bin/sh\necho ${i - 1}\n`));
  if (i % 50 === 13) lines.push(Buffer.from(`M 120000 inline link-${i % 5}\n`), data(path));
  if (i % 50 === 14) lines.push(Buffer.from(`M 160000 ${String(i).padStart(40, '0')} module-${i % 3}\n`));
  if (i % 50 === 15) lines.push(Buffer.from(`D link-${(i - 2) % 5}\n`));
  if (i % 50 === 16) lines.push(Buffer.from(`M 100644 inline link-${(i - 3) % 5}\n`), data('no longer a link\n'));
  if (i % 1000 === 21) for (let j = 0; j < 3000; j++) lines.push(Buffer.from(`M 100644 inline wide/${j}\n`), data(`${i} ${j}\n`));
  return lines;
}

function commit(i, branch, parents) {
  const person = AUTHORS[i % AUTHORS.length];
  const bytes = (text) => Buffer.from(text, text.includes('\xfc') ? 'latin1' : 'utf8');
  const lines = [Buffer.from(`commit refs/heads/${branch}\nmark :${i + 1}\n`)];
  for (const role of ['author', 'committer']) lines.push(bytes(`${role} ${person} ${FIRST_SECOND + i * 60} +0100\n`));
  lines.push(data(`change ${i}\n\nwith a body`));
  for (const [n, parent] of parents.entries()) lines.push(Buffer.from(`${n === 0 ? 'from' : 'merge'} :${parent + 1}\n`));
  return Buffer.concat([...lines, ...filesOf(i), Buffer.from('\n')]);
}

/** Parents of the i-th commit. Every 40th merges what a branch of 10 did; the 100th is a root of its own that the 110th merges. */
function placeOf(i, count) {
  if (i === 0) return ['main', []];
  if (i === 100 && count > 110) return ['other', []];
  if (i > 100 && i < 110 && count > 110) return ['other', [i - 1]];
  if (i === 110) return ['main', [99, 109]];
  const step = i % 40;
  if (step >= 20 && step < 30) return ['side', [i - 1]];
  if (step === 30) return ['main', [i - 11]];
  if (step === 39 && i > 120) return ['main', [i - 1, i - 10]];
  return ['main', [i - 1]];
}

/** Makes a bare repository with `count` commits. */
export async function makeHistory(folder, count) {
  spawnSync('git', ['init', '-q', '--bare', '--initial-branch=main', folder]);
  const child = spawn('git', ['-C', folder, 'fast-import', '--quiet'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = once(child, 'close');
  for (let i = 0; i < count; i++) {
    const [branch, parents] = placeOf(i, count);
    if (!child.stdin.write(commit(i, branch, parents))) await once(child.stdin, 'drain');
  }
  child.stdin.end(`reset refs/heads/main\nfrom :${count}\n\n`);
  const [code] = await ended;
  if (code !== 0) throw new Error(`git fast-import ended with ${code}`);
}
