import { LINK_ATTACKS } from './links.ts';
import { holdAttacks } from './run.ts';

holdAttacks('seals and links', LINK_ATTACKS);
