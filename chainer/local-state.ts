import type { Lane, LogDelta, LogHead, LogState, StreamEnd } from '../core/acceptance/log-state.ts';
import type { OpenSegment } from '../core/acceptance/segment-rule.ts';
import { fromHex, toHex, utf8, utf8Text } from '../core/base/bytes.ts';
import { sharedTexts } from '../core/base/shared-texts.ts';
import type { RecoveryPoint } from '../core/chain/recovery-point.ts';
import type { StateChange, StateStore } from '../core/ports/state-store.ts';

const VERSION = 3;
const HASH_BYTES = 32;

/** A shard's state in the chainer's store: derived data, written now and then, so that a restart need not read the chain from its start. */
export class LocalState {
  readonly #store: StateStore;
  readonly #prefix: string;
  readonly #streams = new Map<string, StreamEnd>();
  readonly #lanes = new Map<string, Lane | undefined>();

  constructor(store: StateStore, shard: number) {
    this.#store = store;
    this.#prefix = `chainer/${shard}/`;
  }

  /** The state that was written last; undefined if there is none, or if a version with another format wrote it. Discards changes that were noted but not written. */
  async load(): Promise<RecoveryPoint | undefined> {
    this.#streams.clear();
    this.#lanes.clear();
    const meta = await this.#store.get(`${this.#prefix}head`);
    if (meta === undefined) return undefined;
    const parsed = parseMeta(utf8Text(meta));
    if (parsed === undefined) return undefined;
    const streams: [string, StreamEnd][] = [];
    const shared = sharedTexts();
    for await (const [key, value] of this.#store.entries(`${this.#prefix}s/`)) {
      const end = decodeEntry(value);
      streams.push([key.slice(this.#prefix.length + 2), { ...end, producer: shared(end.producer) }]);
    }
    const lanes: [string, Lane][] = [];
    for await (const [key, value] of this.#store.entries(`${this.#prefix}l/`)) {
      const { index, logIndex, hash } = decodeEntry(value);
      lanes.push([key.slice(this.#prefix.length + 2), { number: index, appendedAt: logIndex, hash }]);
    }
    return { ...parsed, streams, lanes };
  }

  /** Remembers the changes of a block, for the next {@link write}. */
  remember(delta: LogDelta, forgottenLanes: readonly string[]): void {
    for (const [name, head] of delta.streams) this.#streams.set(name, head);
    for (const [key, lane] of delta.lanes) this.#lanes.set(key, lane);
    for (const key of forgottenLanes) this.#lanes.set(key, undefined);
  }

  /** Remembers a whole state, of which nothing was written yet, for the next {@link write}. */
  rememberAll(state: LogState): void {
    for (const [name, head] of state.streams) this.#streams.set(name, head);
    for (const [key, lane] of state.lanes) this.#lanes.set(key, lane);
  }

  /** Writes everything remembered together with the head that it leads to, in one transaction. */
  async write(head: LogHead, chainOffset: number, segment: OpenSegment): Promise<void> {
    const changes: StateChange[] = [{ key: `${this.#prefix}head`, value: utf8(formatMeta(head, chainOffset, segment)) }];
    for (const [name, value] of this.#streams) changes.push({ key: `${this.#prefix}s/${name}`, value: encodeEntry(value) });
    for (const [key, lane] of this.#lanes) {
      changes.push({
        key: `${this.#prefix}l/${key}`,
        value:
          lane === undefined ? undefined : encodeEntry({ index: lane.number, logIndex: lane.appendedAt, hash: lane.hash, producer: '' }),
      });
    }
    await this.#store.commit(changes);
    this.#streams.clear();
    this.#lanes.clear();
  }

  /** Deletes everything written, because a snapshot takes its place. */
  async wipe(): Promise<void> {
    const changes: StateChange[] = [];
    for await (const [key] of this.#store.entries(this.#prefix)) changes.push({ key, value: undefined });
    await this.#store.commit(changes);
    this.#streams.clear();
    this.#lanes.clear();
  }
}

function encodeEntry({ index, logIndex, hash, producer }: StreamEnd): Uint8Array {
  const name = utf8(producer);
  const bytes = new Uint8Array(16 + HASH_BYTES + name.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(index));
  view.setBigUint64(8, BigInt(logIndex));
  bytes.set(hash, 16);
  bytes.set(name, 16 + HASH_BYTES);
  return bytes;
}

function decodeEntry(bytes: Uint8Array): StreamEnd {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rest = 16 + HASH_BYTES;
  const producer = utf8Text(bytes.subarray(rest));
  return { index: Number(view.getBigUint64(0)), logIndex: Number(view.getBigUint64(8)), hash: bytes.slice(16, rest), producer };
}

function formatMeta(head: LogHead, chainOffset: number, segment: OpenSegment): string {
  const frontier = { size: head.frontier.size, hashes: head.frontier.hashes.map(toHex) };
  return JSON.stringify({ version: VERSION, chainOffset, segment, head: { ...head, seal: toHex(head.seal), frontier } });
}

function parseMeta(text: string): { head: LogHead; chainOffset: number; segment: OpenSegment } | undefined {
  const { version, chainOffset, segment, head } = JSON.parse(text);
  if (version !== VERSION) return undefined;
  const frontier = { size: head.frontier.size, hashes: head.frontier.hashes.map(fromHex) };
  return { chainOffset, segment, head: { ...head, seal: fromHex(head.seal), frontier } };
}
