import { openConfluentSchemaRegistry } from '../adapters/confluent-schema-registry.ts';
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

/** Asks the registry at the start. Throws CONFIG_INVALID where something answers that is not a registry: waiting would not help. */
export async function refusingRegistry<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof LineproofError && hasCode(error, 'ANSWER_UNUSABLE'))) throw error;
    throw new LineproofError(
      'CONFIG_INVALID',
      `${error.message}; set registryUrl to the place of the API as Confluent has it, with its path`,
      {},
      error.cause,
    );
  }
}
