import { OBJECTS } from './objects.ts';
import { holdAttacks } from './run.ts';

holdAttacks('objects', OBJECTS);
