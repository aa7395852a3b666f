import { formatVerifierKey, parseVerifierKey, type VerifierKey } from '../../core/keys/key.ts';
import { KEY_TYPE } from '../../core/keys/signature.ts';
import type { Witnessing } from '../../core/policy/witnessing.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { WitnessCore } from '../../witness/witness.ts';
import { openWitnessServer, type WitnessServer } from '../../witness/witness-server.ts';
import { MemoryObjectStore, testClock } from './memory.ts';
import { testSigner } from './producer.ts';

/** The key by which a witness with this signer is known. */
export function witnessKeyOf({ name, verifierKey }: Signer): string {
  return formatVerifierKey(name, KEY_TYPE.cosignature, parseVerifierKey(verifierKey).publicKey);
}

/** A real witness on a port of this machine. */
export interface RunningWitness {
  readonly name: string;
  readonly signer: Signer;
  readonly key: string;
  readonly url: string;
  /** Holds what it cosigned, by its monitoring path. */
  readonly store: ObjectStore;
  /** Statuses of its replies. */
  readonly replies: readonly number[];
  close(): Promise<void>;
}

/** Starts a witness of logs with these keys, under a name of its own. */
export async function startWitness(
  name: string,
  logs: readonly VerifierKey[],
  store: ObjectStore = new MemoryObjectStore(),
  port = 0,
): Promise<RunningWitness> {
  const signer = testSigner(`witness.example/${name}`, name);
  const replies: number[] = [];
  const core = new WitnessCore({ logs, store, signer, clock: testClock() });
  const server: WitnessServer = await openWitnessServer(core, { host: '127.0.0.1', port, answered: (status) => replies.push(status) });
  const url = `http://127.0.0.1:${server.port}`;
  return { name, signer, key: witnessKeyOf(signer), url, store, replies, close: () => server.close() };
}

/** What a policy says of these witnesses, of which `threshold` are a quorum. */
export function witnessingOf(
  witnesses: readonly { readonly name: string; readonly key: string; readonly url: string }[],
  threshold: number,
  terms: Omit<Witnessing, 'witnesses'>,
): Witnessing {
  const lines = witnesses.map(({ name, key, url }) => `witness ${name} ${key} ${url}\n`).join('');
  return { witnesses: `${lines}group q ${threshold} ${witnesses.map(({ name }) => name).join(' ')}\nquorum q\n`, ...terms };
}
