import { createHash, createHmac } from 'node:crypto';

/** @typedef {{ readonly endpoint: string, readonly region: string, readonly accessKeyId: string, readonly secretAccessKey: string }} S3Settings */

/** @param {string | Buffer} data */
const sha256 = (data) => createHash('sha256').update(data).digest('hex');
/** @param {string | Buffer} key @param {string} data */
const hmac = (key, data) => createHmac('sha256', key).update(data).digest();

/**
 * Sends one request with an AWS signature, version 4, over its whole body. `path` has no query and no characters that need escaping.
 * @param {S3Settings} settings
 * @param {string} method
 * @param {string} path
 * @param {{ readonly body?: string, readonly headers?: Readonly<Record<string, string>>, readonly signal?: AbortSignal }} [options]
 */
export async function s3Request({ endpoint, region, accessKeyId, secretAccessKey }, method, path, options = {}) {
  const { body = '', headers: extra = {}, signal } = options;
  const url = new URL(path, endpoint);
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  /** @type {Record<string, string>} */
  const headers = { host: url.host, 'x-amz-content-sha256': sha256(body), 'x-amz-date': time, ...extra };
  const names = Object.keys(headers).toSorted();
  const canonical = [method, url.pathname, '', ...names.map((name) => `${name}:${headers[name]}`), '', names.join(';'), sha256(body)].join(
    '\n',
  );
  const key = scope.split('/').reduce((/** @type {string | Buffer} */ from, part) => hmac(from, part), `AWS4${secretAccessKey}`);
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  const { host: _, ...sent } = headers;
  return fetch(url, { method, headers: { ...sent, authorization }, ...(body === '' ? {} : { body }), ...(signal ? { signal } : {}) });
}
