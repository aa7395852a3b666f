import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LineproofError } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { decodeEnvelope } from '../core/keys/dsse.ts';
import { parsePolicy } from '../core/policy/policy.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import type { Logger } from '../core/ports/logger.ts';
import { defaultSettings, SETTINGS, type Settings } from '../settings/embedded-settings.ts';

/** Settings by which a data folder is opened. */
export type OpenSettings = Settings & {
  /** Names of the settings that a caller set, so that a default contradicts nothing. Undefined: all of them. */
  readonly given?: ReadonlySet<string>;
};

/** Settings that the first start writes into the policy; afterwards only a new version of the policy changes them. */
const OF_THE_POLICY = ['dedupWindowMs', 'segmentMaxAgeMs'] as const;

/** The number of shards of the data folder, which its first start fixed: one log key for each. Throws CONFIG_INVALID if the caller asks for another number. */
export function shardsInForce({ data, shards, given }: OpenSettings): number {
  const fixed = shardsOfKeys(join(data, 'keys'));
  if (fixed === undefined || fixed === shards) return shards;
  if (given !== undefined && !given.has('shards')) return fixed;
  throw new LineproofError(
    'CONFIG_INVALID',
    `cannot open ${data} with ${shards} shards: it has keys for ${fixed}, and its first start fixed the number; leave the setting shards out, or restore keys that are lost from their backup`,
    { shards, inForce: fixed },
  );
}

function shardsOfKeys(folder: string): number | undefined {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return undefined;
  }
  const numbers = names.flatMap((name) => /^log-(\d{1,4})\.key$/.exec(name)?.[1] ?? []).map(Number);
  return numbers.length === 0 ? undefined : Math.max(...numbers) + 1;
}

/** Throws CONFIG_INVALID if the caller names another log than that of the folder's keys. */
export function mustBeOrigin({ data, origin }: OpenSettings, fixed: string): void {
  if (origin !== '' && origin !== fixed)
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot open ${data} as log ${origin}: it is the log ${fixed}, and its first start fixed the name; leave the setting origin out, or name another folder with --data`,
      { origin, inForce: fixed },
    );
}

/** Logs each setting that the caller set and that the policy has otherwise. */
export function warnOfOthers(settings: OpenSettings, policy: Policy, logger: Logger): void {
  for (const setting of OF_THE_POLICY)
    if (settings.given?.has(setting) === true && settings[setting] !== policy[setting])
      logger.warn(LOG.settingNotInForce, { setting, given: settings[setting], inForce: policy[setting], data: settings.data });
}

/** What the first start of a data folder fixed, as far as its keys and its archive tell; for people only, nothing is verified. */
export function inForce(data: string): Partial<Pick<Settings, 'origin' | 'shards' | (typeof OF_THE_POLICY)[number]>> {
  const shards = shardsOfKeys(join(data, 'keys'));
  if (shards === undefined) return {};
  const policy = archivedPolicy(join(data, 'archive', 'policies'));
  if (policy === undefined) return { shards };
  const { origin, dedupWindowMs, segmentMaxAgeMs } = policy;
  return { origin, shards, dedupWindowMs, segmentMaxAgeMs };
}

function archivedPolicy(folder: string): Policy | undefined {
  try {
    const policies = readdirSync(folder).map((name) => parsePolicy(decodeEnvelope(readFileSync(join(folder, name)), 'policy').payload));
    return policies.toSorted((a, b) => a.version - b.version).at(-1);
  } catch {
    return undefined;
  }
}

/** Settings of a caller of the library, checked as a command's are; all others have their defaults. Throws CONFIG_INVALID, which lists all problems. */
export function openSettings(options: Partial<Settings>): OpenSettings {
  const values: Record<string, unknown> = { ...defaultSettings() };
  const given = new Set<string>();
  const problems: string[] = [];
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    given.add(name);
    const problem = problemOf(name, value);
    if (problem === undefined) values[name] = value;
    else problems.push(problem);
  }
  if (problems.length > 0) throw new LineproofError('CONFIG_INVALID', `cannot open the embedded system: ${problems.join('; ')}`);
  return { ...(values as Settings), given };
}

function problemOf(name: string, value: unknown): string | undefined {
  if (!Object.hasOwn(SETTINGS, name)) return `${name} is not a setting; the settings are ${Object.keys(SETTINGS).join(', ')}`;
  const key = name as keyof Settings;
  const wanted = typeof defaultSettings()[key];
  if (typeof value !== wanted) return `${name} must be a ${wanted}, not ${value === null ? 'null' : `a ${typeof value}`}`;
  const parsed = SETTINGS[key].type.parse(String(value));
  return 'problem' in parsed ? `${name} is ${JSON.stringify(value)}: it ${parsed.problem}` : undefined;
}
