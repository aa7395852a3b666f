import { openClusterReaders } from '../cluster/readers.ts';
import { LineproofError } from '../core/base/errors.ts';
import { counted, printable, terminalJson, wrapped } from '../core/base/terminal-text.ts';
import type { Command, Invocation } from './command.ts';
import { clusterSettings, ONLOOKER, SERVERS } from './command-settings.ts';
import { type Diagnosis, diagnose } from './doctor-checks.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings, namesKeys } from './invocation-settings.ts';

const MARKS = { ok: 'ok', warn: 'warn', fail: 'FAIL', unchecked: '–' } as const satisfies Readonly<Record<Diagnosis['result'], string>>;
const INDENT = 20;

/** `lineproof doctor`: what a service of a cluster needs, a line each. */
export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'Check all that the services of a cluster need',
  usage: ['doctor [--json] [OPTIONS]'],
  options: [{ name: 'json', type: 'boolean', help: 'print JSON' }],
  ...clusterSettings([...ONLOOKER, ...SERVERS.redis]),
  notes: [
    'Run it where a service runs, with the options of that service. It looks at policy, topics, Redis, registry, object store, groups, the keys that are here, and the disk.',
    'It appends nothing to a topic. Below the prefix in the bucket it writes the small object by which an archiver tests the bucket.',
    'Exit code 1: something is wrong that keeps a service from working. A warning alone is 0. A dash: it could not be looked at, and nothing is said of it.',
    'Not looked at: witnesses, time-stamp authorities, and other machines, their clocks and versions. lineproof status shows lag, and verify judges the archive.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 0) throw new LineproofError('USAGE', 'doctor takes no arguments');
    const loaded = loadClusterSettings(invocation);
    const { values } = loaded;
    const { stdout } = invocation.terminal;
    const isJson = invocation.options['json'] === true;
    const cluster = await openClusterReaders({ ...values, logLevel: 'error' }, namesKeys(loaded));
    const found: Diagnosis[] = [];
    try {
      for await (const diagnosis of diagnose({ settings: values, cluster, beside: namesKeys(loaded) })) {
        found.push(diagnosis);
        if (!isJson) stdout.write(lineOf(diagnosis));
      }
    } finally {
      await cluster.close();
    }
    if (isJson) stdout.write(`${terminalJson(found, 2)}\n`);
    else stdout.write(`${summary(found)}\n`);
    return found.some(({ result }) => result === 'fail') ? EXIT.findings : EXIT.ok;
  },
};

function lineOf({ about, result, text, advice }: Diagnosis): string {
  const head = `${MARKS[result].padEnd(5)} ${about}`.padEnd(INDENT);
  const lines = wrapped(`${head}${printable(text)}`, INDENT);
  if (advice !== undefined) lines.push(...wrapped(`${' '.repeat(INDENT)}→ ${advice}`, INDENT + 2));
  return `${lines.join('\n')}\n`;
}

function summary(found: readonly Diagnosis[]): string {
  const count = (wanted: Diagnosis['result']): number => found.filter(({ result }) => result === wanted).length;
  return `${count('ok')} ok, ${counted(count('warn'), 'warning')}, ${count('fail')} wrong, ${count('unchecked')} not looked at`;
}
