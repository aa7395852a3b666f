import { holdAttacks } from './run.ts';
import { TREE_ATTACKS } from './trees.ts';

holdAttacks('trees', TREE_ATTACKS);
