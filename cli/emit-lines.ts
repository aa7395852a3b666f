import { ERROR_TRAITS, type ErrorCode, LineproofError, messageOf } from '../core/base/errors.ts';
import { parseJsonText } from '../core/base/json-text.ts';
import type { AttestedRecord } from '../sdk/attested-recording.ts';
import type { EventInput } from '../sdk/event-input.ts';
import type { Collector } from '../sdk/friendly-collector.ts';
import { EXIT } from './exit-codes.ts';
import { type InputLine, inputLines } from './input-lines.ts';

const IN_FLIGHT = 4096;
const NAMED_LINES = 20;

interface LineFault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
  /** Of an event that is recorded all the same, and lacks its proof. */
  readonly id?: string;
}

/** What became of one line. */
export type LineOutcome =
  | { readonly line: number; readonly id: string; readonly proof?: string }
  | { readonly line: number; readonly error: LineFault };

export interface EmitOptions {
  /** Of the input, for messages. */
  readonly name: string;
  readonly signal: AbortSignal;
  /** Called for each line, in their order, as soon as the event is on disk or the line was refused. */
  readonly told: (outcome: LineOutcome) => void;
  readonly warn: (text: string) => void;
  /** Where each event has to be attested: how long to wait for that, and what writes its proof and gives the path. */
  readonly attested?: { readonly timeoutMs: number; readonly write: (record: AttestedRecord) => string };
}

/** An input that ends when it is destroyed, such as a file or stdin. */
export type Input = AsyncIterable<Uint8Array | string> & { destroy(): unknown };

/**
 * Records each line as an event; gives the exit code. A line that does not fit is refused and the others are recorded: exit code 1. If an event cannot be
 * stored, or the input cannot be read on, the rest is not read: exit code 74.
 */
export async function emitLines(input: Input, collector: Collector, options: EmitOptions): Promise<number> {
  return new Emission(collector, options).run(input);
}

/** Counts of one call. Outcomes are told one after the other, so that their order is that of the lines. */
class Emission {
  readonly #collector: Collector;
  readonly #options: EmitOptions;
  readonly #refused: number[] = [];
  #recorded = 0;
  #pending = 0;
  #last = 0;
  /** Why the rest is not read. */
  #failure: string | undefined;
  #telling: Promise<void> = Promise.resolve();

  constructor(collector: Collector, options: EmitOptions) {
    this.#collector = collector;
    this.#options = options;
  }

  async run(input: Input): Promise<number> {
    const { signal } = this.#options;
    const interrupt = (): void => {
      this.#failure ??= 'it was interrupted';
      input.destroy();
    };
    signal.addEventListener('abort', interrupt, { once: true });
    if (signal.aborted) interrupt();
    try {
      for await (const line of inputLines(input)) {
        if (this.#failure !== undefined) break;
        this.#last = line.number;
        this.#take(line);
        while (this.#pending >= IN_FLIGHT) await this.#telling;
      }
    } catch (error) {
      this.#failure ??= `it cannot be read: ${messageOf(error)}`;
    }
    signal.removeEventListener('abort', interrupt);
    await this.#telling;
    return this.#end();
  }

  #take(line: InputLine): void {
    const outcome = this.#record(line);
    this.#pending++;
    this.#telling = this.#telling.then(async () => this.#tell(await outcome));
  }

  async #record(line: InputLine): Promise<LineOutcome> {
    try {
      if ('fault' in line) throw new LineproofError('FORMAT_INVALID', `cannot read line: ${line.fault}`);
      return { line: line.number, ...(await this.#recordEvent(parseJsonText(line.text) as EventInput)) };
    } catch (error) {
      if (!(error instanceof LineproofError)) throw error;
      const { code, message, details } = error;
      const field = typeof details['field'] === 'string' ? { field: details['field'] } : {};
      const id = typeof details['id'] === 'string' ? { id: details['id'] } : {};
      return { line: line.number, error: { code, message, ...field, ...id } };
    }
  }

  async #recordEvent(event: EventInput): Promise<{ readonly id: string; readonly proof?: string }> {
    const { attested, signal } = this.#options;
    if (attested === undefined) return { id: await this.#collector.recordDurably(event) };
    const record = await this.#collector.recordAttested(event, { timeoutMs: attested.timeoutMs, signal });
    try {
      return { id: record.id, proof: attested.write(record) };
    } catch (error) {
      if (!(error instanceof LineproofError)) throw error;
      throw new LineproofError(error.code, error.message, { ...error.details, id: record.id }, error);
    }
  }

  #tell(outcome: LineOutcome): void {
    this.#pending--;
    if ('id' in outcome) this.#recorded++;
    else {
      const { line, error } = outcome;
      if (error.id !== undefined) this.#recorded++;
      if (error.id === undefined && ERROR_TRAITS[error.code].fault === 'input') this.#refused.push(line);
      else this.#failure ??= error.id === undefined ? `line ${line} cannot be recorded` : `line ${line} has no proof`;
      this.#options.warn(`${this.#options.name}: line ${line} ${faultOf(error)}: ${error.message}${laterOf(error)} [${error.code}]`);
    }
    this.#options.told(outcome);
  }

  #end(): number {
    const { name, warn } = this.#options;
    const { dropped } = this.#collector.stats;
    const counts = `${this.#recorded} of its events recorded${listed(this.#refused)}`;
    if (dropped > 0) warn(`${name}: ${dropped} AUXILIARY events were dropped, because the spool was full`);
    if (this.#failure !== undefined) {
      warn(`${name}: ${this.#failure}; lines after line ${this.#last} were not read; ${counts}`);
      return EXIT.io;
    }
    if (this.#refused.length > 0 || dropped > 0) {
      warn(`${name}: ${counts}`);
      return EXIT.findings;
    }
    if (this.#recorded === 0) warn(`${name}: it holds no event, so nothing was recorded`);
    return EXIT.ok;
  }
}

/** What an error with this code says of its line. If the disk fails, an event can be written later. */
function faultOf({ code, id }: LineFault): string {
  if (id !== undefined) return `is recorded as ${id}, and has no proof yet`;
  if (code === 'EVENT_REFUSED') return 'was refused by the log';
  return code === 'DISK_FULL' || code === 'IO_FAILED' ? 'may not be on disk' : 'was not recorded';
}

/** The way to a proof of an event that is recorded without. */
function laterOf({ id }: LineFault): string {
  return id === undefined ? '' : `; later, lineproof prove --event STREAM/${id} writes it`;
}

function listed(refused: readonly number[]): string {
  if (refused.length === 0) return '';
  const more = refused.length > NAMED_LINES ? ` and ${refused.length - NAMED_LINES} more` : '';
  return `, ${refused.length} refused: line${refused.length === 1 ? '' : 's'} ${refused.slice(0, NAMED_LINES).join(', ')}${more}`;
}
