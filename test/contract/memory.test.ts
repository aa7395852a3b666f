import { MemoryLog, MemoryObjectStore } from '../support/memory.ts';
import { logContract } from './log-contract.ts';
import { objectStoreContract } from './object-store-contract.ts';

const EVERY_TOPIC = 'every topic is there, with any number of partitions';
const NEVER_CLOSED = 'closing does nothing, so that a test can look on';

logContract(
  'in memory, of the tests',
  async () => {
    const log = new MemoryLog();
    return { prefix: 'contract', open: async () => log, release: async () => undefined };
  },
  {
    'what was appended stays as it was when the caller writes to its bytes afterwards, or a reader to what it got':
      'records are not copied; no part writes to what it appended or read',
    'a read stops after about maxBytes, and reads that go on from there get everything once': 'a read gives all there is',
    'a topic that is there with other settings is CONFIG_INVALID and stays as it is': EVERY_TOPIC,
    'of two that ensure a topic with different settings at the same time, one gets CONFIG_INVALID': EVERY_TOPIC,
    'a topic or partition that is not there is NOT_FOUND, and asking does not create it': EVERY_TOPIC,
    'what was acknowledged is there after closing and opening again: records, times, bounds, topics': `${EVERY_TOPIC}, and the rest is kept`,
    'after closing every method is UNAVAILABLE, and closing again does nothing': NEVER_CLOSED,
  },
);

objectStoreContract(
  'in memory, of the tests',
  async () => {
    const store = new MemoryObjectStore();
    return { prefix: 'contract', open: async () => store, release: async () => undefined };
  },
  { 'what is no key is FORMAT_INVALID in every method, before anything is touched': 'forged archives hold names that are no keys' },
);
