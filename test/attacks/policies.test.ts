import { POLICY_ATTACKS } from './policies.ts';
import { holdAttacks } from './run.ts';

holdAttacks('policies', POLICY_ATTACKS);
