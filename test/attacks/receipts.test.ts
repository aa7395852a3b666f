import { RECEIPT_ATTACKS } from './receipts.ts';
import { holdAttacks } from './run.ts';

holdAttacks('receipts and entries of the evidence', RECEIPT_ATTACKS);
