import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokerNumbers, HOST, portOf } from './stack.js';

/**
 * Toxiproxy with one proxy in front of each server, with the server's name.
 * @param {import('./stack.js').Stack} stack
 * @param {string} program
 * @returns {import('./server.js').Server}
 */
export function toxiproxyServer(stack, program) {
  const port = portOf(stack, 'toxiproxy');
  const file = join(stack.folder, 'config', 'toxiproxy.json');
  return {
    name: 'toxiproxy',
    title: 'Toxiproxy',
    address: `${HOST}:${port}`,
    prepare: async () => {
      writeFileSync(file, `${JSON.stringify(proxies(stack), null, 2)}\n`);
      return { command: program, args: ['-host', HOST, '-port', String(port), '-config', file] };
    },
    check: async (signal) => {
      const response = await fetch(`http://${HOST}:${port}/proxies`, { signal });
      const known = Object.keys(/** @type {object} */ (await response.json())).length;
      if (known < proxies(stack).length) throw new Error(`has ${known} proxies`);
    },
  };
}

/**
 * A broker has a separate listener for the proxy, advertised at the proxy's port, so that clients stay behind the proxy.
 * @param {import('./stack.js').Stack} stack
 */
function proxies(stack) {
  const brokers = brokerNumbers(stack.shape).map((n) => [`kafka-${n}`, `kafka-${n}-proxied`]);
  const all = [...brokers, ['registry', 'registry'], ['s3', 's3'], ['redis', 'redis']];
  return all.map(([name = '', behind = '']) => ({
    name,
    listen: `${HOST}:${portOf(stack, `${name}-proxy`)}`,
    upstream: `${HOST}:${portOf(stack, behind)}`,
    enabled: true,
  }));
}
