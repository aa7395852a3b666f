const REDRAW_MS = 100;
const WIDTH = 24;

/** A progress line on a terminal; silent where stderr is none. */
export class Progress {
  readonly #stream: NodeJS.WritableStream & { readonly isTTY?: boolean };
  #drawnMs = 0;
  #shown = false;

  constructor(stream: NodeJS.WritableStream & { readonly isTTY?: boolean }) {
    this.#stream = stream;
  }

  /** Draws `done` of `total` (0: unknown) at most ten times a second. */
  update(label: string | (() => string), done: number, total: number): void {
    if (this.#stream.isTTY !== true) return;
    const now = Date.now();
    if (now - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = now;
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const bar =
      total > 0
        ? `[${'='.repeat(Math.round(share * WIDTH)).padEnd(WIDTH)}] ${String(Math.round(share * 100)).padStart(3)} %`
        : String(done);
    this.#stream.write(`\r\u001B[2K${typeof label === 'string' ? label : label()} ${bar}`);
    this.#shown = true;
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#shown) this.#stream.write('\r\u001B[2K');
    this.#shown = false;
  }
}
