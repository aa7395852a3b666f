import { holdAttacks } from './run.ts';
import { STAMP_ATTACKS } from './stamps.ts';

holdAttacks('time stamps', STAMP_ATTACKS);
