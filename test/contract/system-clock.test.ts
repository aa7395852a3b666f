import { systemClock } from '../../adapters/system-clock.ts';
import { testClock } from '../support/memory.ts';
import { clockContract } from './clock-contract.ts';

clockContract('system', systemClock);
clockContract('of the tests', testClock());
