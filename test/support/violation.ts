import { expect } from '@jest/globals';
import type { EvidenceInput } from '../../core/formats/evidence.ts';
import type { Link } from '../../core/formats/leaf.ts';
import { inputOf } from './forged-batch.ts';
import type { Forgery } from './forged-block.ts';
import type { BlockOptions, TestMessage } from './producer.ts';
import { required } from './rich-archive.ts';
import { codes, makeScene, type Scene } from './scene.ts';

export const SEVENS = new Uint8Array(32).fill(7);

/** One rule that is broken, and all that may be found for it. */
export interface Violation {
  readonly name: string;
  readonly failed: readonly string[];
  readonly notes?: readonly string[];
  readonly messages?: (scene: Scene) => Promise<BlockOptions['messages']>;
  readonly spoil?: (forgery: Forgery, scene: Scene, given: BlockOptions['messages']) => void;
  readonly options?: (scene: Scene) => Partial<BlockOptions>;
}

export const speech = async (scene: Scene): Promise<TestMessage[]> => [await scene.say('x', 'y')];

export async function expectFound({ failed, notes, messages = speech, spoil, options }: Violation): Promise<void> {
  const scene = await makeScene();
  const given = await messages(scene);
  await scene.block(given, (forgery) => spoil?.(forgery, scene, given), options?.(scene));
  const verdict = await scene.end();
  expect({ failed: codes(verdict), ok: verdict.ok }).toEqual({ failed, ok: failed.length === 0 });
  if (notes !== undefined) expect(codes(verdict, 'NOTE')).toEqual(notes);
  for (const code of failed) expect(verdict.properties[required(code.split(' ')[0]) as 'LOG'].result).toBe('FAILED');
}

export function changeLink(forgery: Forgery, at: number, part: Partial<Link>): void {
  forgery.links[at] = { ...required(forgery.links[at]), ...part };
}

export function changeInput(forgery: Forgery, at: number, part: Partial<EvidenceInput>): void {
  forgery.inputs[at] = { ...required(forgery.inputs[at]), ...part };
}

/** Leaves the last message's batch out of the block's links, and gives its input another outcome. */
export function refuse(forgery: Forgery, message: TestMessage, part: Pick<EvidenceInput, 'outcome'> & Partial<EvidenceInput>): void {
  const { appendedAt } = required(forgery.inputs.pop());
  forgery.inputs.push(inputOf(message, { appendedAt, ...part }));
  forgery.links = forgery.links.slice(0, -message.events.length);
  forgery.events = forgery.events.slice(0, -message.events.length);
}

export function firstOf(given: BlockOptions['messages']): TestMessage {
  return given[0] as TestMessage;
}

export function twice(given: TestMessage): TestMessage[] {
  return [given, given];
}
