import type { Property } from '../../auditor/property.ts';
import type { Result, Verdict } from '../../auditor/verdict.ts';
import type { VerdictWord } from '../../auditor/verdict-words.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { utf8 } from '../../core/base/bytes.ts';
import type { ReasonName } from '../../core/base/reasons.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { parseWitnessPolicy } from '../../core/keys/witness-policy.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import type { ArchiveObjects, SegmentForgery } from '../support/forged-archive.ts';
import { PROPERTIES } from '../support/naive-verifier.ts';
import type { Holder } from './holder.ts';
import { endStage, growTail, makeStage, type Stage } from './stage.ts';

/**
 * Names of properties with a result, separated by spaces. Those that are not named are OK, or OPEN but for ARCHIVE where the archive has an open tail.
 */
export interface Results {
  readonly failed?: string;
  readonly unchecked?: string;
  readonly open?: string;
  readonly ok?: string;
}

/** All properties but ARCHIVE. */
export const ALL_ELSE = 'LOG STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY';

/** Changes the stored objects. */
export type Alter = (map: Map<string, Uint8Array>, stage: Stage) => void | Promise<void>;

/** What an attacker does, and what a reader with the pinned root key then sees. */
export interface Attack extends Results {
  readonly name: string;
  /** What the attacker holds; nothing: whoever can send messages, or name the archive's objects. */
  readonly keys: readonly Holder[];
  /** Changes the policy that the scene starts with. */
  readonly policy?: (policy: Policy) => Policy;
  /** What is done amid the second segment. */
  readonly play?: (stage: Stage) => Promise<void>;
  /** What the archiver of shard 0 changes where it closes that segment. */
  readonly close?: (stage: Stage) => SegmentForgery;
  /** What is done with the stored objects at the end. */
  readonly alter?: Alter;
  /** Whether the scene has an open tail. */
  readonly tail?: boolean;
  /** Keys and demands of the reader, where they are not the root key alone. */
  readonly reader?: (stage: Stage) => Reader | Promise<Reader>;
  /** The verdict, where the results do not give it. */
  readonly word?: VerdictWord;
  /** `PROPERTY CODE` of a finding that must be there; null where nothing tells this archive from an honest one. */
  readonly seen: string | null;
  /** Reason under which the verdict counts what was refused. */
  readonly refused?: ReasonName;
  /** Contradictions between the two verifiers that are known: property, result of the other verifier, result of the product. */
  readonly differs?: readonly string[];
  /** Rules for which acceptance, and so an honest archiver, ignores the forged blocks. */
  readonly stopped?: readonly string[];
}

export interface Reader {
  readonly keys?: readonly string[];
  readonly origin?: string;
  readonly genesis?: string;
  /** Notes that the reader kept. */
  readonly since?: readonly string[];
  /** Witness policies that the reader brings, as texts. */
  readonly witnesses?: readonly string[];
}

/** An archive after an attack. */
export interface Attacked {
  readonly objects: ArchiveObjects;
  readonly reader: Reader & { readonly keys: readonly string[] };
  readonly stopped: readonly string[];
}

/** Results of all properties that a pinned key can prove. */
export function expectedResults(attack: Attack): Record<string, Result> {
  const { failed = '', unchecked = '', open = '', ok = '', tail = false } = attack;
  const named: readonly (readonly [Result, string])[] = [
    ['FAILED', failed],
    ['NOT CHECKED', unchecked],
    ['OPEN', open],
    ['OK', ok],
  ];
  const resultOf = (property: string): Result =>
    named.find(([, names]) => names.split(' ').includes(property))?.[0] ??
    (property === 'WITNESSES' ? 'NOT CHECKED' : tail && property !== 'ARCHIVE' ? 'OPEN' : 'OK');
  return Object.fromEntries(PROPERTIES.map((property) => [property, resultOf(property)]));
}

export function expectedWord(attack: Attack): VerdictWord {
  const results = Object.values(expectedResults(attack));
  if (attack.word !== undefined) return attack.word;
  if (results.includes('FAILED')) return 'FAILED';
  return results.includes('OPEN') ? 'OPEN' : 'OK';
}

/** Holders whose key a scene gives only to its attacker. */
const HOLDS_A_KEY: ReadonlySet<Holder> = new Set(['root', 'chainer', 'log']);
const honest = new Map<boolean, Promise<Stage>>();

/** The scene to its end without an attack, made once. */
async function honestStage(tail: boolean): Promise<Stage> {
  const made = honest.get(tail) ?? play({ keys: [], tail });
  honest.set(tail, made);
  return made;
}

async function play({ keys, policy, play: act, close, tail }: Pick<Attack, 'keys' | 'policy' | 'play' | 'close' | 'tail'>): Promise<Stage> {
  const stage = await makeStage(keys, policy);
  await act?.(stage);
  if (close !== undefined) stage.key('log');
  await endStage(stage, close?.(stage));
  if (tail === true) await growTail(stage);
  return stage;
}

/** Plays the scene with the attack in it. */
export async function attacked(attack: Attack): Promise<Attacked> {
  const { keys, policy, play: act, close, alter, tail = false, reader } = attack;
  const isLate = policy === undefined && act === undefined && close === undefined && keys.every((holder) => !HOLDS_A_KEY.has(holder));
  const mayWrite = keys.includes('archive') || keys.includes('log');
  if (alter !== undefined && !mayWrite) throw new Error(`${attack.name} changes objects and cannot write the archive`);
  const stage = isLate ? await honestStage(tail) : await play(attack);
  const objects = stage.archive.objects.changed(() => undefined);
  await alter?.(objects.map, stage);
  const demands = (await reader?.(stage)) ?? {};
  return { objects, reader: { keys: [stage.world.root.verifierKey], ...demands }, stopped: stage.stopped };
}

export function judged({ objects, reader }: Attacked): Promise<Verdict> {
  const { keys, since = [], witnesses = [], ...demands } = reader;
  const brought = witnesses.map((text, i) => ({ name: `policy ${i}`, policy: parseWitnessPolicy(utf8(text)) }));
  const kept = since.map((note, i) => ({ name: `note ${i}`, note }));
  return verifyArchive(objects, { keys: keys.map(parseVerifierKey), since: kept, witnesses: brought, ...demands });
}

export function resultsOf({ properties }: Pick<Verdict, 'properties'>): Record<string, Result> {
  return Object.fromEntries(PROPERTIES.map((name: Property) => [name, properties[name].result]));
}
