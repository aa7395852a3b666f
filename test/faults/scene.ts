import type { Place, Preparation } from './preparation.ts';
import type { World } from './world.ts';

/** One row of the table. */
export interface Scene {
  readonly name: string;
  /** What is done, in a sentence. */
  readonly says: string;
  prepare?(place: Place): Promise<Preparation>;
  /** Makes the fault under load, and ends it. */
  act(world: World): Promise<void>;
}
