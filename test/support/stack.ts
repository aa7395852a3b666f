import { readFileSync } from 'node:fs';

export interface StackS3 {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly bucket: string;
  readonly forcePathStyle: boolean;
}

/** How the servers of a local stack are reached. */
export interface StackSettings {
  readonly registry: { readonly url: string };
  readonly s3: StackS3;
  readonly redis: { readonly url: string; readonly secure: { readonly url: string; readonly caFile: string } };
  readonly toxiproxy: {
    readonly url: string;
    readonly registry: { readonly url: string };
    readonly s3: StackS3;
    readonly redis: { readonly url: string };
  };
}

/** The settings in the stack.json that the environment names. */
export function stackSettings(): StackSettings {
  const file = process.env['LINEPROOF_STACK_FILE'];
  if (file === undefined) throw new Error('LINEPROOF_STACK_FILE names no stack.json');
  return JSON.parse(readFileSync(file, 'utf8')) as StackSettings;
}
