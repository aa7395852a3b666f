import { NAME_ATTACKS } from './names.ts';
import { holdAttacks } from './run.ts';

holdAttacks('names', NAME_ATTACKS);
