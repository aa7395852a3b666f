import { BATCH_ATTACKS } from './batches.ts';
import { holdAttacks } from './run.ts';

holdAttacks('batches', BATCH_ATTACKS);
