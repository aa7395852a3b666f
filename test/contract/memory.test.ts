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
    'an appended record does not change when the caller, or a reader, writes to its bytes afterwards':
      'records are not copied; no part writes to what it appended or read',
    'a read stops after about maxBytes, and reads that go on from there get everything once': 'a read gives all there is',
    'a topic that exists with other settings is CONFIG_INVALID and stays unchanged': EVERY_TOPIC,
    'of two calls that ensure a topic with different settings at the same time, one gets CONFIG_INVALID': EVERY_TOPIC,
    'a topic or partition that does not exist is NOT_FOUND, and asking does not create it': EVERY_TOPIC,
    'acknowledged data is there after closing and opening again: records, times, bounds, topics': `${EVERY_TOPIC}, and the rest is kept`,
    'after closing every method is UNAVAILABLE, and closing again does nothing': NEVER_CLOSED,
  },
);

objectStoreContract(
  'in memory, of the tests',
  async () => {
    const store = new MemoryObjectStore();
    return { prefix: 'contract', open: async () => store, release: async () => undefined };
  },
  {
    'a text that is not a key is FORMAT_INVALID in every method, before anything is touched':
      'forged archives hold names that are not keys',
  },
);
