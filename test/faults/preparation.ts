import type { OwnStack } from '../support/stack.ts';

/** What a scene changes of the world before it begins. */
export interface Preparation {
  /** Settings of all processes over those of the stack. */
  readonly env?: NodeJS.ProcessEnv;
  /** Environment of the first chainer alone. */
  readonly chainerEnv?: NodeJS.ProcessEnv;
  /** A command that runs the first chainer; it is given its data folder. */
  readonly chainerLauncher?: (data: string) => readonly string[];
  /** A command that runs the first producer; it is given the folder of its disk. */
  readonly producerLauncher?: (disk: string) => readonly string[];
  /** Streams of each producer, if not the usual few. */
  readonly streams?: number;
  readonly release?: () => Promise<void>;
}

/** Where a scene is prepared: the servers, a folder of its own, and the short run or the long. */
export interface Place {
  readonly stack: OwnStack;
  readonly folder: string;
}

/** This machine cannot make the fault. */
export class NotRun extends Error {}
