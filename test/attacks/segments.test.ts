import { holdAttacks } from './run.ts';
import { SEGMENT_ATTACKS } from './segments.ts';

holdAttacks('segments', SEGMENT_ATTACKS);
