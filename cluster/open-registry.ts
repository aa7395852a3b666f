import { openConfluentSchemaRegistry } from '../adapters/confluent-schema-registry.ts';
import { refusalError } from '../adapters/refusals.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { REQUEST_TIMEOUT_MS, tlsOf } from './connection.ts';

/** Opens the schema registry. It connects at the first use. */
export function openRegistry(settings: ClusterSettings): SchemaRegistry {
  const { registryUrl, registryUsername, registryPassword } = settings;
  return openConfluentSchemaRegistry({
    url: registryUrl,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    ...(registryUsername === '' ? {} : { auth: { username: registryUsername, password: registryPassword } }),
    ...tlsOf(settings.registryCa, 'registryCa'),
  });
}

/** Asks the registry at the start. An answer that no registry gives is REFUSED there: a proxy may give it for a while, but waiting longer does not help. */
export async function refusingRegistry<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof LineproofError && hasCode(error, 'ANSWER_UNUSABLE'))) throw error;
    throw refusalError(error.message.replace(/^cannot /, ''), 'registry', 'NOT_A_REGISTRY', error.cause);
  }
}
