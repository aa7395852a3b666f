import { join } from 'node:path';
import { systemClock } from '../adapters/system-clock.ts';
import { Findings } from '../auditor/findings.ts';
import { checkProof } from '../auditor/proofs/proof-check.ts';
import { utf8, utf8Text } from '../core/base/bytes.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { counted, printable, terminalJson } from '../core/base/terminal-text.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { type MadeProof, proveEvents } from '../prover/prove.ts';
import type { Wanted } from '../prover/wanted.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import { flagOf } from '../settings/setting.ts';
import { openArchive, READING_SETTINGS } from './archive-location.ts';
import { type Command, type CommandOption, type Invocation, stringOption, type Terminal } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { dataFolder } from './invocation-settings.ts';
import { Progress } from './progress.ts';
import { openProofFolder, type ProofFile, type ProofFolder } from './proof-folder.ts';
import { FORMS, formOf, type ProofForm } from './proof-forms.ts';
import { unfoundText, WANTED_OPTIONS, wantedOf } from './prove-wanted.ts';
import { tellFindings } from './told-findings.ts';
import { waitMsOf } from './wait-option.ts';

const OPTIONS: readonly CommandOption[] = [
  ...WANTED_OPTIONS,
  {
    name: 'out',
    short: 'o',
    type: 'string',
    value: 'PLACE',
    help: 'folder for the files, or a name that ends as the files of the form (.tlog-proof, .json, .receipt, .intoto.json) for the only one, or - for standard output (the working folder)',
  },
  {
    name: 'as',
    type: 'string',
    value: FORMS.join('|'),
    help: 'form of the files (tlog-proof): json has the event as text beside the proof; cose is a receipt (RFC 9942) and the leaf it is of; in-toto is a new statement in DSSE by --signer',
  },
  { name: 'signer', type: 'string', value: 'KEYFILE', help: 'with --as in-toto: file of the private key that signs the statement' },
  {
    name: 'wait',
    type: 'string',
    value: 'SECONDS',
    help: 'wait so long until the event is archived: look again while it is not found (0)',
  },
  { name: 'json', type: 'boolean', help: 'one JSON object a line for each file that was written' },
  {
    name: flagOf('data'),
    type: 'string',
    value: 'FOLDER',
    help: `data folder whose archive is read where no ARCHIVE is given (${SETTINGS.data.fallback})`,
  },
];

/** `lineproof prove`: a file for each event, which a stranger can check with one public key. */
export const proveCommand: Command = {
  name: 'prove',
  summary: 'Write a file that proves one event to a stranger',
  usage: [
    'prove [ARCHIVE] --event STREAM/ID | --leaf SHARD/LEAF | --file PATH | --stream NAME [--from N] [--to N] [--as FORM] [--out PLACE] [--wait SECONDS]',
  ],
  options: OPTIONS,
  settings: READING_SETTINGS,
  notes: [
    "Each file is a C2SP .tlog-proof that holds the event, its producer's signature, its place in the log, a signed note of the log, and the policy. Whoever has the file reads the event.",
    'lineproof check FILE --key KEY checks it, with nothing but a key that the reader got from the operator by another way.',
    'Only events in closed segments can be proven: a running system (lineproof start, or the archivers of a cluster) closes the open one when it has been open for the time of its policy. A system that stops leaves it open.',
    'Exit codes: 0 at least one event was proven; 1 none was found, or the archive is wrong at it, or could not be read everywhere (stderr names the objects); 74 a file or archive cannot be read or written, the wait was interrupted, or the leaf that --leaf names is not an event.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const { operands, terminal } = invocation;
    if (operands.length > 1) throw new LineproofError('USAGE', 'prove takes one archive; see lineproof prove --help');
    const wanted = await wantedOf(invocation);
    const form = await formOf(invocation);
    const place = stringOption(invocation, 'out');
    if (place === '-' && !form.isOneFile)
      throw new LineproofError('USAGE', 'a receipt and its leaf are two files: name a folder with --out');
    const out = openProofFolder(place, form.ending);
    const archive = operands[0] ?? join(dataFolder(invocation).folder, 'archive');
    const waitMs = waitMsOf(invocation, 0);
    const until = performance.now() + waitMs;
    const task = { archive, wanted, out, form, searched: new Map<number, number>(), removed: new Set<string>() };
    for (let looks = 0; ; looks++) {
      if (looks === 1) terminal.stderr.write(`lineproof: not in a closed segment yet; looking again for ${waitMs / 1000} s\n`);
      const isLast = terminal.signal.aborted || performance.now() >= until;
      const search = await searchOnce(task, invocation, isLast);
      if (search !== undefined && (search.count > 0 || search.isWrong || isLast)) return told(search, invocation, task);
      await systemClock.sleep(Math.min(POLL_MS, until - performance.now()), terminal.signal);
    }
  },
};

/** Time between two looks at an archive in which the event is not yet. */
const POLL_MS = 500;

interface SearchTask {
  readonly archive: string;
  readonly wanted: Wanted;
  readonly out: ProofFolder;
  readonly form: ProofForm;
  /** By shard, the leaf up to which closed segments were searched: a later look begins there. */
  readonly searched: Map<number, number>;
  /** Segments whose events retention removed, of all looks: a later look passes them over. */
  readonly removed: Set<string>;
}

interface Search {
  readonly count: number;
  readonly findings: Findings;
  readonly isWrong: boolean;
  readonly removed: number;
  /** Leaves that are in no closed segment, in words. */
  readonly open: readonly string[];
}

/** Looks for the wanted events once. Undefined where there is no archive yet, and this is not the last look. */
async function searchOnce(
  { archive, wanted, out, form, searched, removed }: SearchTask,
  invocation: Invocation,
  isLast: boolean,
): Promise<Search | undefined> {
  let store: ObjectStore;
  try {
    store = await openArchive(archive, 'prove', invocation);
  } catch (error) {
    if (!isLast && hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
  try {
    const findings = new Findings();
    const open: string[] = [];
    const progress = new Progress(invocation.terminal.stderr);
    const made = proveEvents(store, wanted, findings, {
      searched,
      onProgress: (done, total) => progress.update('searching', done, total),
      onRemoved: (shard, first) => removed.add(`${shard}/${first}`),
      onOpen: (shard, first, end) => open.push(`leaves ${first} to ${end - 1} of shard ${shard}`),
    });
    const count = await writeAll(out.fitting(sound(made, findings)), { out, form }, invocation);
    progress.clear();
    return { count, findings, isWrong: findings.obstacles.length > 0, removed: removed.size, open };
  } finally {
    await store.close();
  }
}

function told(search: Search, invocation: Invocation, task: SearchTask): number {
  const { stderr } = invocation.terminal;
  if (search.count === 0 && !search.isWrong && invocation.terminal.signal.aborted) return interrupted(stderr);
  if (search.count > 0) sayHow(search.count, task, stderr);
  else sayNone(invocation, search, invocation.terminal);
  return tellFindings(search.findings, stderr) || search.count === 0 ? EXIT.findings : EXIT.ok;
}

function interrupted(stderr: Terminal['stderr']): number {
  stderr.write('lineproof: interrupted before the event was in a closed segment: nothing was written; call again to go on waiting\n');
  return EXIT.io;
}

/** The proofs that hold against themselves: what the archive gives wrong is a finding, and never handed out as a proof. */
async function* sound(made: AsyncIterable<MadeProof>, findings: Findings): AsyncGenerator<MadeProof> {
  for await (const proof of made) {
    const wrong = checkProof(utf8(proof.text), { keys: [] }).findings.filter(({ severity }) => severity === 'FAILED');
    for (const finding of wrong) findings.take(finding);
    if (wrong.length === 0) yield proof;
  }
}

/** Writes each proof in its form, and counts them. */
async function writeAll(
  proofs: AsyncIterable<MadeProof>,
  { out, form }: Pick<SearchTask, 'out' | 'form'>,
  { options, terminal }: Invocation,
): Promise<number> {
  let count = 0;
  for await (const proof of proofs) {
    const files = await form.files(proof);
    const path = out.write(proof, files, count);
    count++;
    if (path === undefined) terminal.stdout.write(utf8Text((files[0] as ProofFile).content));
    else terminal.stdout.write(options['json'] === true ? `${terminalJson(described(path, proof, files))}\n` : `${path}\n`);
  }
  return count;
}

function described(
  path: string,
  { shard, leaf, size, stream, streamIndex, id, type }: MadeProof,
  files: readonly ProofFile[],
): Readonly<Record<string, unknown>> {
  return { path, shard, leaf, size, stream, streamIndex, id, type, bytes: (files[0] as ProofFile).content.length };
}

function sayHow(count: number, { out, form }: SearchTask, stderr: Terminal['stderr']): void {
  stderr.write(`${counted(count, 'event')} proven; ${form.howToCheck(printable(out.example ?? 'FILE'))}\n`);
}

function sayNone(
  invocation: Invocation,
  { removed, open }: { readonly removed: number; readonly open: readonly string[] },
  { stderr }: Terminal,
): void {
  stderr.write(`${unfoundText(invocation)}\n`);
  for (const leaves of open)
    stderr.write(
      `${leaves} are in a segment that is still open: they can be proven when a running system (lineproof start, or the archivers) has closed it\n`,
    );
  if (removed > 0) stderr.write(`retention removed the events of ${counted(removed, 'segment')}: they cannot be proven any more\n`);
}
