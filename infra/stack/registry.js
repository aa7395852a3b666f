import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectionSettings, HOST, portOf } from './stack.js';

/** @typedef {import('./stack.js').Stack} Stack */

/**
 * Apicurio Registry with its API that is compatible with Confluent's. Without WRITE_DELAY=0, acknowledged schemas
 * are lost when the process is killed by −9.
 * @param {Stack} stack
 * @param {{ readonly java: string, readonly application: string }} runtime
 * @returns {import('./server.js').Server}
 */
export function registryServer(stack, { java, application }) {
  const { folder } = stack;
  const data = join(folder, 'data', 'registry');
  const jvm = ['-Xmx192m', '-Xss512k', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'];
  return {
    name: 'registry',
    title: 'Apicurio Registry',
    address: `${HOST}:${portOf(stack, 'registry')}`,
    prepare: async () => {
      mkdirSync(data, { recursive: true });
      return {
        command: java,
        args: [...jvm, `-Djava.io.tmpdir=${join(folder, 'tmp')}`, '-jar', join(application, 'quarkus-run.jar')],
        cwd: application,
        env: {
          QUARKUS_HTTP_HOST: HOST,
          QUARKUS_HTTP_PORT: String(portOf(stack, 'registry')),
          QUARKUS_MANAGEMENT_HOST: HOST,
          QUARKUS_MANAGEMENT_PORT: String(portOf(stack, 'registry-management')),
          APICURIO_STORAGE_KIND: 'sql',
          APICURIO_STORAGE_SQL_KIND: 'h2',
          APICURIO_DATASOURCE_URL: `jdbc:h2:file:${join(data, 'db')};WRITE_DELAY=0`,
          APICURIO_DATASOURCE_USERNAME: 'sa',
          APICURIO_DATASOURCE_PASSWORD: 'sa',
        },
      };
    },
    check: async (signal) => {
      const response = await fetch(`${connectionSettings(stack).registry.url}/subjects`, { signal });
      if (!response.ok || !Array.isArray(await response.json())) throw new Error(`GET /subjects is answered by ${response.status}`);
    },
  };
}
