import type { LineproofError } from '../core/base/errors.ts';
import type { KafkaSettings } from './kafka-client.ts';
import { type RefusalOf, refusalError } from './refusals.ts';
import { plaintextKafka, type ServerPlace, speaksTls } from './transport-probe.ts';

/**
 * Why no broker can be reached, if a setting is the reason: kafkajs sees only a connection that closes, as from a broker that restarts. The brokers are
 * asked by short connections of their own. Undefined unless one of them shows that it speaks otherwise than the settings say.
 */
export async function kafkaMismatch({ brokers, tls, sasl }: KafkaSettings): Promise<LineproofError | undefined> {
  for (const broker of brokers) {
    const refusal = await mismatch(placeOf(broker), tls !== false, sasl !== undefined);
    if (refusal !== undefined) return refusalError(`reach Kafka at ${broker}`, 'Kafka', refusal);
  }
  return undefined;
}

async function mismatch(place: ServerPlace, tls: boolean, sasl: boolean): Promise<RefusalOf<'Kafka'> | undefined> {
  if (!(place.port > 0 && place.port < 65_536)) return undefined;
  const plain = await plaintextKafka(place);
  if (tls) return plain === undefined ? undefined : 'SPEAKS_PLAINTEXT';
  if (plain === 'sasl' && !sasl) return 'SASL_LISTENER';
  if (plain === 'open' && sasl) return 'NO_SASL_LISTENER';
  return plain === undefined && (await speaksTls(place)) ? 'SPEAKS_TLS' : undefined;
}

function placeOf(broker: string): ServerPlace {
  const at = broker.lastIndexOf(':');
  return { host: broker.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(broker.slice(at + 1)) };
}
