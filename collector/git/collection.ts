/** Where a collection left off, kept beside the data. */
export interface CursorStore {
  get(name: string): Promise<string | undefined>;
  /** Durable when it resolves. */
  put(name: string, value: string): Promise<void>;
}

export interface GitOptions {
  readonly actors: 'hashed' | 'plain';
  /** Secret under which names are hashed, 32 bytes, kept beside the data. */
  readonly actorKey: Uint8Array;
  readonly signal?: AbortSignal;
  /** A folder whose files are not collected: the data folder of the system that collects. */
  readonly except?: string;
  progress?(events: number): void;
}

export interface GitCollection {
  readonly source: 'git' | 'files';
  /** Why the folder's files were taken instead of history. */
  readonly reason: string | undefined;
  readonly stream: string;
  /** Commits recorded now; of a folder without history, events. */
  readonly commits: number;
}
