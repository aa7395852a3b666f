import { BROKER_SCENES } from './broker-scenes.ts';
import { CERTIFICATE_SCENES } from './certificate-scenes.ts';
import { DISK_SCENES } from './disk-scenes.ts';
import { LINK_SCENES } from './link-scenes.ts';
import { PROCESS_SCENES } from './process-scenes.ts';
import { REDIS_SCENES } from './redis-scenes.ts';
import type { Scene } from './scene.ts';
import { SERVER_SCENES } from './server-scenes.ts';

/** Every fault, in the order in which a whole run makes them. */
export const SCENES: readonly Scene[] = [
  ...PROCESS_SCENES,
  ...REDIS_SCENES,
  ...SERVER_SCENES,
  ...BROKER_SCENES,
  ...LINK_SCENES,
  ...DISK_SCENES,
  ...CERTIFICATE_SCENES,
];
