import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { keysFolder, pinnedRoot } from '../cluster/keys.ts';
import { openClusterReaders } from '../cluster/readers.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { Log } from '../core/ports/log.ts';
import { openControlLog } from '../embedded/control-log.ts';
import { CLUSTER_SETTINGS } from '../settings/cluster-settings.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import { type Invocation, stringOption } from './command.ts';
import { commandLogger } from './command-log.ts';
import { UNPINNED } from './command-settings.ts';
import { loadClusterSettings, loadOwnSettings, namesKeys } from './invocation-settings.ts';

/** Where `policy show` and `policy publish` find the policies of a system. */
export interface PolicyPlace {
  readonly log: Log;
  /** The folder of root.key and of the keys that are made. */
  readonly keys: string;
  /** Whether the services of this system run without root.key, so that it is best kept elsewhere. */
  readonly keepsRootAway: boolean;
  /** What follows once a version is appended; undefined if there is nothing to say. */
  readonly afterwards: string | undefined;
  sources(): Promise<Sources>;
  close(): Promise<void>;
}

/** Opens the control topic of a cluster or, with `--embedded`, of a data folder. `appends` is false where nothing will be published. */
export async function openPolicyPlace(invocation: Invocation, isShow: boolean, appends: boolean): Promise<PolicyPlace> {
  return invocation.options['embedded'] === true ? embeddedPlace(invocation, isShow, appends) : clusterPlace(invocation, isShow);
}

async function clusterPlace(invocation: Invocation, isShow: boolean): Promise<PolicyPlace> {
  const loaded = loadClusterSettings(invocation);
  const { values } = loaded;
  // Who publishes signs with keys of that folder: it is the operator's own.
  const beside = !isShow || namesKeys(loaded);
  const { stderr } = invocation.terminal;
  if (existsSync(join(values.data, 'log', 'data.mdb')))
    stderr.write(`lineproof: ${values.data} is the data folder of an embedded system: for its policy, give --embedded\n`);
  if (isShow) noteUnpinned(pinnedRoot(values, beside), invocation);
  const { log, sources, close } = await openClusterReaders(values, beside);
  return { log, keys: keysFolder(values), keepsRootAway: true, afterwards: undefined, sources, close };
}

const { data, logLevel } = SETTINGS;
const TABLE = { data, logLevel, rootKey: CLUSTER_SETTINGS.rootKey } as const;

/** Its keys are where `start` finds them, so that a setting for the services of a cluster does not lead elsewhere. Throws USAGE. */
async function embeddedPlace(invocation: Invocation, isShow: boolean, appends: boolean): Promise<PolicyPlace> {
  if (stringOption(invocation, 'keys') !== undefined)
    throw new LineproofError(
      'USAGE',
      '--keys is for a cluster: an embedded system has its keys in its data folder; sign with root keys of another place by --sign-with',
    );
  const { values } = loadOwnSettings(TABLE, invocation);
  const settings = { ...values, keys: '' };
  const rootKey = pinnedRoot(settings);
  const { log, isRunning, sources, close } = await openControlLog({ data: values.data, rootKey, logger: commandLogger(values), appends });
  if (isShow) noteUnpinned(rootKey, invocation);
  const reader = isRunning ? `the process that works on ${values.data}` : 'the next start';
  const afterwards = `${reader} takes it up by itself; it is in force from the next block on`;
  return { log, keys: keysFolder(settings), keepsRootAway: false, afterwards, sources, close };
}

function noteUnpinned(rootKey: string | undefined, { terminal }: Invocation): void {
  if (rootKey === undefined) terminal.stderr.write(`lineproof: ${UNPINNED}\n`);
}
