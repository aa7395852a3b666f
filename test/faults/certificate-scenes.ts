import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import kafkajs from 'kafkajs';
import { type Authority, newAuthority } from '../support/certificates.ts';
import { until } from '../support/cluster.ts';
import type { Place, Preparation } from './preparation.ts';
import type { Scene } from './scene.ts';
import { BROKERS, Servers } from './servers.ts';
import type { World } from './world.ts';

/** As in the certificates of the stack: a broker takes no certificate for other names while it runs. */
const NAMES = 'DNS:localhost,IP:127.0.0.1,IP:::1';
const DAY_MS = 86_400_000;

/** Certificates of servers that end. */
export const CERTIFICATE_SCENES: readonly Scene[] = [kafkaCertificateScene()];

function kafkaCertificateScene(): Scene {
  let authority: Authority;
  let folder: string;
  const present = async (servers: Servers, name: string, validMs: number): Promise<void> => {
    const { cert, key } = await authority.sign(NAMES, new Date(Date.now() + validMs));
    const file = join(folder, `${name}.pem`);
    writeFileSync(file, key + cert + authority.ca);
    await setKeystore(servers, [{ name: 'listener.name.secure.ssl.keystore.location', value: file }]);
  };
  return {
    name: 'certificate-expires',
    says: "the brokers' certificate (TLS and SCRAM) expires, each broker and a chainer is restarted, so that every connection is made anew, and a minute later the brokers have a new one",
    prepare: async (place) => {
      authority = await newAuthority();
      ({ folder } = place);
      const servers = new Servers(place.stack);
      await present(servers, 'first', DAY_MS);
      const release = async (): Promise<void> => {
        await setKeystore(servers, []);
        authority.release();
      };
      return { env: environment(place, authority), release };
    },
    act: async (world) => {
      const expires = Date.now() + world.ms(60_000, 15_000);
      await present(world.servers, 'short', expires - Date.now());
      await until('the certificate is not valid any more', () => Date.now() > expires + 1_000);
      world.say('the certificate is not valid any more');
      await reconnectAll(world);
      await world.lasting(60_000, 15_000);
      await present(world.servers, 'next', DAY_MS);
    },
  };
}

/** Ends all connections to the brokers, and starts a process that makes its first one. */
async function reconnectAll(world: World): Promise<void> {
  await world.end('chain-1', 'SIGKILL');
  world.start('chain-1');
  for (const broker of BROKERS) {
    await world.servers.stop(broker);
    await world.servers.up();
  }
}

function environment({ stack, folder }: Place, { ca }: Authority): NonNullable<Preparation['env']> {
  const { brokers, scramSha256 } = stack.settings.kafka.secure;
  const file = join(folder, 'ca.pem');
  writeFileSync(file, ca);
  return {
    LINEPROOF_KAFKA_BROKERS: brokers.join(','),
    LINEPROOF_KAFKA_TLS: 'on',
    LINEPROOF_KAFKA_CA: file,
    LINEPROOF_KAFKA_SASL: 'scram-sha-256',
    LINEPROOF_KAFKA_USERNAME: scramSha256.username,
    LINEPROOF_KAFKA_PASSWORD: scramSha256.password,
  };
}

/** Changes these settings of all brokers while they run; without any, those of their files are in force again. */
async function setKeystore(servers: Servers, configEntries: { name: string; value: string }[]): Promise<void> {
  const resources = BROKERS.map((_, i) => ({ type: kafkajs.ConfigResourceTypes.BROKER, name: String(i + 1), configEntries }));
  for (const resource of resources) await servers.admin((admin) => admin.alterConfigs({ validateOnly: false, resources: [resource] }));
}
