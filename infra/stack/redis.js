import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { HOST, portOf } from './stack.js';

/** @typedef {import('./stack.js').Stack} Stack */
/** @typedef {import('./server.js').Server} Server */
/** @typedef {{ readonly server: string, readonly env: Readonly<Record<string, string>> }} RedisRuntime */

/**
 * @param {Stack} stack
 * @param {RedisRuntime} runtime
 * @returns {Server[]}
 */
export function redisServers(stack, runtime) {
  const plain = oneRedis(stack, runtime, 'redis', 'Redis', '', (/** @type {number} */ port) => [`port ${port}`]);
  if (!stack.shape.secure) return [plain];
  const tls = (/** @type {string} */ name) => `"${join(stack.folder, 'tls', name)}"`;
  const settings = (/** @type {number} */ port) => [
    'port 0',
    `tls-port ${port}`,
    `tls-cert-file ${tls('server.pem')}`,
    `tls-key-file ${tls('server.key')}`,
    `tls-ca-cert-file ${tls('ca.pem')}`,
    'tls-auth-clients no',
    `requirepass ${stack.secrets.redis}`,
  ];
  return [plain, oneRedis(stack, runtime, 'redis-secure', 'Redis with TLS and password', stack.secrets.redis, settings)];
}

/**
 * @param {Stack} stack
 * @param {RedisRuntime} runtime
 * @param {string} name
 * @param {string} title
 * @param {string} password of a server with TLS; empty for a plain server
 * @param {(port: number) => readonly string[]} special
 * @returns {Server}
 */
function oneRedis(stack, { server, env }, name, title, password, special) {
  const port = portOf(stack, name);
  const data = join(stack.folder, 'data', name);
  const file = join(stack.folder, 'config', `${name}.conf`);
  return {
    name,
    title,
    address: `${HOST}:${port}`,
    prepare: async () => {
      mkdirSync(data, { recursive: true });
      const common = [`bind ${HOST}`, `dir "${data}"`, 'maxmemory-policy noeviction', 'appendonly yes', 'appendfsync everysec', 'save ""'];
      // Redis would write its title over the environment, by which the stack recognises its processes.
      const lines = [...common, 'set-proc-title no', ...special(port)];
      writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
      return { command: server, args: [file], env };
    },
    check: (signal) => ping(stack.folder, port, password, signal),
  };
}

/**
 * Sends PING, after AUTH if there is a password, and expects PONG.
 * @param {string} folder
 * @param {number} port
 * @param {string} password
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function ping(folder, port, password, signal) {
  const secure = password !== '';
  const socket = secure
    ? connectTls({ host: HOST, servername: 'localhost', port, ca: readFileSync(join(folder, 'tls', 'ca.pem')) })
    : connect({ host: HOST, port });
  const wanted = secure ? '+OK\r\n+PONG\r\n' : '+PONG\r\n';
  /** @type {Promise<void>} */
  const answered = new Promise((resolve, reject) => {
    let answer = '';
    signal.addEventListener('abort', () => reject(new Error('no answer to PING')));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('connection closed')));
    socket.on('data', (chunk) => {
      answer += chunk;
      if (answer === wanted) resolve();
      else if (!wanted.startsWith(answer)) reject(new Error(`PING is answered by ${JSON.stringify(answer.slice(0, 80))}`));
    });
    socket.write(secure ? `AUTH ${password}\r\nPING\r\n` : 'PING\r\n');
  });
  return answered.finally(() => socket.destroy());
}
