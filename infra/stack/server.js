/**
 * One server of a stack.
 * @typedef {object} Server
 * @property {string} name
 * @property {string} title
 * @property {string} address
 * @property {() => Promise<import('./server-processes.js').Launch>} prepare writes its settings and says how it is run
 * @property {(signal: AbortSignal) => Promise<void>} check one real request; throws while the server does not serve
 * @property {() => Promise<void>} [joined] throws while it does not yet work with the other servers that it needs; only a start waits for this
 * @property {() => Promise<void>} [settle] runs once the server serves, and may run again
 */

const CHECK_MS = 2_000;

/**
 * Runs a server's check, which fails when it takes more than two seconds.
 * @param {Server} server
 */
export async function checkServer(server) {
  const signal = AbortSignal.timeout(CHECK_MS);
  const late = new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('no answer in 2 s'))));
  await Promise.race([server.check(signal), late]);
}
