import { holdAttacks } from './run.ts';
import { TIME_ATTACKS } from './times.ts';

holdAttacks('times', TIME_ATTACKS);
