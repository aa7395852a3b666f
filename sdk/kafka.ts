import { openConfluentSchemaRegistry } from '../adapters/confluent-schema-registry.ts';
import type { KafkaSettings } from '../adapters/kafka-client.ts';
import { openKafkaLog } from '../adapters/kafka-log.ts';
import { limitedLogger } from '../adapters/limited-logger.ts';
import { checkPem } from '../adapters/pem.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silent };

/** Where a service's events go: Kafka and the schema registry beside it. */
export interface KafkaOptions {
  /** `host:port` of one broker or more to begin with. */
  readonly brokers: readonly string[];
  /** Default `lineproof`. */
  readonly clientId?: string;
  /** Prefix of the names of topics, the same as the chainers'; default none. */
  readonly topicPrefix?: string;
  /** TLS with the system's authorities (true), or with those given (PEM); default none. */
  readonly tls?: boolean | { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly sasl?: NonNullable<KafkaSettings['sasl']>;
  readonly registry: {
    readonly url: string;
    readonly auth?: { readonly username: string; readonly password: string };
    readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  };
  /** Receives the log messages of the connections; default none. */
  readonly logger?: Logger;
}

/** `log` and `registry` for `createCollector`. */
export interface KafkaConnection {
  readonly log: Log;
  readonly registry: SchemaRegistry;
  /** Closes the connections; call it after the collector was closed. */
  close(): Promise<void>;
}

/** Prepares the connections; they are made when they are first needed, so that a service starts while Kafka is away. Throws CONFIG_INVALID. */
export function connectKafka(options: KafkaOptions): KafkaConnection {
  const { brokers, clientId, topicPrefix, tls, sasl, registry, logger } = options;
  const settings: KafkaSettings = {
    brokers,
    clientId: clientId ?? 'lineproof',
    topicPrefix: topicPrefix ?? '',
    tls: tls === true ? {} : (tls ?? false),
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    ...(sasl === undefined ? {} : { sasl }),
  };
  if (typeof tls === 'object') checkPem(tls, (part) => `tls.${part}`);
  if (registry.tls !== undefined) checkPem(registry.tls, (part) => `registry.tls.${part}`);
  const limited = limitedLogger(logger ?? silent);
  const log = openKafkaLog(settings, limited);
  const schemas = openConfluentSchemaRegistry({ ...registry, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  return {
    log,
    registry: schemas,
    close: async () => {
      await schemas.close();
      await log.close();
      limited.flush();
    },
  };
}

function nothing(): void {}
