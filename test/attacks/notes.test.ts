import { NOTE_ATTACKS } from './notes.ts';
import { holdAttacks } from './run.ts';

holdAttacks('notes and keys', NOTE_ATTACKS);
