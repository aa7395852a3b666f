import { HEARTBEAT_ATTACKS } from './heartbeats.ts';
import { holdAttacks } from './run.ts';

holdAttacks('heartbeats', HEARTBEAT_ATTACKS);
