/** Where a collection left off, kept beside the data. */
export interface CursorStore {
  get(name: string): Promise<string | undefined>;
  /** Durable when it resolves. */
  put(name: string, value: string): Promise<void>;
}

/** What the caller chooses. */
export interface GitOptions {
  readonly actors: 'hashed' | 'plain';
  /** Secret under which names are hashed, 32 bytes, kept beside the data. */
  readonly actorKey: Uint8Array;
  /** Records messages in clear and not only their digests. They can hold names, and a recorded event stays; so the caller must decide. */
  readonly messages?: boolean;
  /** Name of the stream; without it, one is made of the history's first commit. */
  readonly stream?: string;
  readonly signal?: AbortSignal;
  /** A folder whose files are not collected: the data folder of the system that collects. */
  readonly except?: string;
  progress?(done: number, total: number): void;
}

/** What was collected. */
export interface GitCollection {
  readonly source: 'git' | 'files';
  /** Why the folder's files were taken instead of history. */
  readonly reason: string | undefined;
  readonly stream: string;
  /** Commits recorded now; of a folder without history, events. */
  readonly commits: number;
  /** Commits that were not recorded yet when the collection began. */
  readonly total: number;
  /** Commits that were recorded without their changes, because a shallow clone was cut there. */
  readonly cut: number;
  /** Commits that were recorded without the digests of all files, because the repository lacks the objects. */
  readonly lacking: number;
  /** True if the signal came before all commits were recorded. */
  readonly interrupted: boolean;
}
