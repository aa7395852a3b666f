import { holdAttacks } from './run.ts';
import { TOGETHER } from './together.ts';

holdAttacks('several keys together', TOGETHER);
