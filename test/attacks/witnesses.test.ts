import { holdAttacks } from './run.ts';
import { WITNESS_ATTACKS } from './witnesses.ts';

holdAttacks('witnesses', WITNESS_ATTACKS);
