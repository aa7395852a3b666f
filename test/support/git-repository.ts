import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectGit } from '../../collector/git/collect.ts';
import type { CursorStore, GitCollection, GitOptions } from '../../collector/git/collection.ts';
import type { Event } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';

const CONFIG = ['-c', 'user.name=Zoë', '-c', 'user.email=z@example.org', '-c', 'commit.gpgsign=false', '-c', 'protocol.file.allow=always'];

/** Two header lines of a commit by people with readable times. */
export const PEOPLE = 'author A <a@example.org> 1700000000 +0000\ncommitter C <c@example.org> 1700000000 +0000';

/** A real repository in a temporary folder, below which `release` removes everything. */
export class GitRepository {
  readonly root: string = mkdtempSync(join(tmpdir(), 'lineproof-git-'));
  readonly folder: string = join(this.root, 'work');

  constructor() {
    execFileSync('mkdir', [this.folder]);
  }

  release(): void {
    execFileSync('chmod', ['-R', 'u+rwX', this.root]);
    rmSync(this.root, { recursive: true, force: true });
  }

  /** A path beside the repository. */
  beside(name: string): string {
    return join(this.root, name);
  }

  /** Git's answer, byte for byte. */
  bytes(args: readonly string[], input: string | Buffer = ''): Buffer {
    return execFileSync('git', ['-C', this.folder, ...CONFIG, ...args], { input, maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  git(...args: string[]): string {
    return this.bytes(args).toString('utf8');
  }

  init(...args: string[]): void {
    this.git('init', '-q', '-b', 'main', ...args);
  }

  commit(name: string | Buffer, content: string | Buffer): string {
    writeFileSync(Buffer.concat([Buffer.from(`${this.folder}/`), Buffer.from(name)]), content);
    this.git('add', '-A');
    this.git('commit', '-qm', 'change');
    return this.git('rev-parse', 'HEAD').trim();
  }

  /** Writes an object without git looking at what it says. */
  object(type: string, content: string | Buffer): string {
    return this.bytes(['hash-object', '-w', '--literally', '-t', type, '--stdin'], content).toString().trim();
  }

  /** Writes a commit with any header and message, made HEAD. */
  rawCommit(tree: string, header: string | Buffer, message: string | Buffer = 'message'): string {
    const id = this.object(
      'commit',
      Buffer.concat([Buffer.from(`tree ${tree}\n`), Buffer.from(header), Buffer.from('\n\n'), Buffer.from(message)]),
    );
    this.git('update-ref', 'HEAD', id);
    return id;
  }

  tree(...entries: readonly (readonly [mode: string, name: string | Buffer, id: string])[]): string {
    return this.object('tree', Buffer.concat(entries.map(([mode, name, id]) => entry(mode, name, id))));
  }

  /** The file of a loose object. */
  loose(id: string): string {
    return join(this.folder, '.git', 'objects', id.slice(0, 2), id.slice(2));
  }
}

function entry(mode: string, name: string | Buffer, id: string): Buffer {
  return Buffer.concat([Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(id, 'hex')]);
}

/** Takes what is collected; each event must be one that the log would take. */
export class GitSink {
  readonly events: Event[] = [];
  readonly state = new Map<string, string>();
  readonly cursors: CursorStore = {
    get: async (name) => this.state.get(name),
    put: async (name, value) => void this.state.set(name, value),
  };

  record(event: Event): Uint8Array {
    EVENT_SCHEMA.encode(event);
    this.events.push(event);
    return event.id;
  }

  recordDurably(event: Event): Promise<Uint8Array> {
    return Promise.resolve(this.record(event));
  }

  collect(folder: string, options: Partial<GitOptions> = {}): Promise<GitCollection> {
    return collectGit(folder, this, this.cursors, { actors: 'hashed', actorKey: new Uint8Array(32), ...options });
  }

  /** Forgets the events, not the cursors. */
  take(): Event[] {
    return this.events.splice(0);
  }
}

/** An event's attribute. */
export function attribute(event: Event | undefined, key: string): string | undefined {
  return event?.attributes.find((each) => each.key === key)?.value;
}

/** The bytes that a text of the collector stands for, by the rule of docs/git.md. */
export function bytesOfText(text: string): Buffer {
  const parts = text.split(/(\\x[0-9a-f]{2})/);
  return Buffer.concat(parts.map((part, i) => (i % 2 === 1 ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part))));
}
