import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { s3Request } from './s3-request.js';
import { ACCESS_KEY, BUCKET, connectionSettings, HOST, portOf, REGION } from './stack.js';
import { StackError } from './stack-error.js';

/**
 * versitygw over a folder. Object lock works only with an absolute versioning folder.
 * @param {import('./stack.js').Stack} stack
 * @param {string} program
 * @returns {import('./server.js').Server}
 */
export function s3Server(stack, program) {
  const data = join(stack.folder, 'data', 's3');
  const address = `${HOST}:${portOf(stack, 's3')}`;
  const { s3 } = connectionSettings(stack);
  return {
    name: 's3',
    title: 'versitygw (S3)',
    address,
    prepare: async () => {
      for (const part of ['objects', 'versions']) mkdirSync(join(data, part), { recursive: true });
      return {
        command: program,
        args: [
          '--port',
          address,
          '--region',
          REGION,
          '--quiet',
          'posix',
          '--versioning-dir',
          join(data, 'versions'),
          join(data, 'objects'),
        ],
        env: { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: stack.secrets.s3 },
      };
    },
    check: async (signal) => {
      const response = await s3Request(s3, 'GET', '/', { signal });
      if (!response.ok) throw new Error(`listing the buckets is answered by ${response.status}`);
    },
    settle: async () => {
      const found = await s3Request(s3, 'HEAD', `/${BUCKET}`);
      if (found.ok) return;
      const made = await s3Request(s3, 'PUT', `/${BUCKET}`, { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } });
      if (!made.ok) throw new StackError(`cannot make the bucket ${BUCKET}: ${made.status} ${(await made.text()).slice(0, 300)}`);
    },
  };
}
