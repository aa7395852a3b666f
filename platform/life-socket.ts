import { randomBytes } from 'node:crypto';
import { lstatSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoOf } from './errno.ts';

/** Names that {@link openLifeSocket} gives: of a socket that listens, and of one that does not listen yet. */
export const LIFE_SOCKET: RegExp = /^lock-[0-9a-f]{16}\.socket$/;
export const LIFE_SOCKET_DRAFT: RegExp = /^lock-[0-9a-f]{16}\.bind$/;
/** Maximum bytes of a Unix-domain socket's address, without its closing zero. Node 20 cuts a longer path silently. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/** A Unix-domain socket in a folder. The kernel answers for its owner: it accepts connections exactly as long as the owner lives. */
export interface LifeSocket {
  /** Name in the folder; empty if the folder cannot hold a socket. */
  readonly name: string;
  /** Why there is no socket: the system's name of the error. */
  readonly errno: string;
  close(): Promise<void>;
}

/** The kernel's answer about a life socket: its owner lives; its owner no longer listens; or an error that says neither. */
export type LifeAnswer = 'listens' | 'refused' | { readonly errno: string };

/** Binds a life socket. It gets its name only when it listens: a socket that has its name and refuses a connection has lost its owner for good. */
export async function openLifeSocket(folder: string): Promise<LifeSocket> {
  if (process.platform === 'win32') return noSocket('ENOTSUP');
  try {
    for (;;) {
      const socket = await bind(folder);
      if (socket !== undefined) return socket;
    }
  } catch (error) {
    return noSocket(errnoOf(error) ?? 'unknown');
  }
}

function noSocket(errno: string): LifeSocket {
  return { name: '', errno, close: () => Promise.resolve() };
}

/** One try; undefined if another process swept the socket in the instant before it listened. */
async function bind(folder: string): Promise<LifeSocket | undefined> {
  const id = randomBytes(8).toString('hex');
  const [draft, name] = [`lock-${id}.bind`, `lock-${id}.socket`];
  const server = createServer({ pauseOnConnect: true }, (connection) => {
    connection.on('error', () => undefined);
    connection.destroy();
  });
  await withShortPath(folder, draft, (path) => listen(server, path));
  const close = async (): Promise<void> => {
    for (const file of [name, draft]) rmSync(join(folder, file), { force: true });
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  try {
    renameSync(join(folder, draft), join(folder, name));
    return { name, errno: '', close };
  } catch (error) {
    await close();
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Asks the kernel whether the owner of a life socket of `folder` listens. */
export async function askLifeSocket(folder: string, name: string): Promise<LifeAnswer> {
  const errno = await withShortPath(folder, name, knock).catch((error: unknown) => errnoOf(error) ?? 'unknown');
  // A full queue of connections has an owner, for example a stopped process.
  if (errno === undefined || errno === 'EAGAIN') return 'listens';
  // The kernel refuses a file that is not a socket in the same way, and that proves nothing.
  return errno === 'ECONNREFUSED' && isSocket(join(folder, name)) ? 'refused' : { errno };
}

/** Resolves once the server listens; it never keeps this process from ending. `exclusive`: a cluster's worker must not hand it to the primary. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject);
      // Later errors concern single connections, and a connection carries nothing.
      server.on('error', () => undefined);
      server.unref();
      resolve();
    });
  });
}

/** Connects and hangs up; the system's name of the error if that fails. */
function knock(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const connection = connect({ path });
    connection.on('error', (error) => resolve(errnoOf(error) ?? 'unknown'));
    connection.once('connect', () => {
      connection.destroy();
      resolve(undefined);
    });
  });
}

/** Does `work` with a path that fits into a socket's address: through a link in the temporary folder if the folder's path is too long. */
async function withShortPath<T>(folder: string, name: string, work: (path: string) => Promise<T>): Promise<T> {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return work(path);
  const link = join(tmpdir(), `lineproof-${randomBytes(8).toString('hex')}`);
  const short = join(link, name);
  if (Buffer.byteLength(short) > MAX_PATH_BYTES)
    throw Object.assign(new Error('the temporary folder has a long path too'), { code: 'ENAMETOOLONG' });
  symlinkSync(folder, link);
  try {
    return await work(short);
  } finally {
    rmSync(link, { force: true });
  }
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}
