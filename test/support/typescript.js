// Lets a child process of a test run the sources as they are: node --conditions=lineproof-source --import ./test/support/typescript.js
import { register } from 'node:module';

register('./typescript-hooks.js', import.meta.url);
