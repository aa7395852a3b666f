import { CAP_ATTACKS } from './caps.ts';
import { holdAttacks } from './run.ts';

holdAttacks('caps of streams and lanes', CAP_ATTACKS);
