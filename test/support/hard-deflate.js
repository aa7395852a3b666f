/** Loaded into a process before its own code (`--import`): whatever it deflates, it deflates at level 9, and so to other bytes than the product does elsewhere. */
import { syncBuiltinESMExports } from 'node:module';
import zlib from 'node:zlib';

const { deflateRaw } = zlib;
zlib.deflateRaw = (data, options, done) => deflateRaw(data, { ...options, level: 9 }, done);
syncBuiltinESMExports();
