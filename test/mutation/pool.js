// Workers of one world, and the watchdog over them: a worker that hangs is killed, one that is not clean any more is replaced.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../scripts/folders.js';

/** What a worker's own timer cannot end, a loop that never waits, this ends a little later. */
const GRACE_MS = 2_000;

/** A process in the world `folder`; with a mutant, that one counts from its first line on. */
export class Worker {
  #child;
  #folder;
  #waiting;
  #timer;
  #errors = '';

  constructor(folder) {
    this.#folder = folder;
  }

  /** Sends `message` and gives the last answer; `onPart` hears of what comes before it. `limitOf` says how long each test may take. */
  async ask(message, { mutant, onPart = () => undefined, limitOf = () => undefined } = {}) {
    if (this.#child === undefined || mutant !== undefined) await this.#start(mutant);
    const answer = await this.#answer(onPart, limitOf, () => this.#child.send(message));
    if (!answer.clean || mutant !== undefined) this.kill();
    return answer;
  }

  #answer(onPart, limitOf, send) {
    return new Promise((resolve) => {
      const end = (answer) => {
        clearTimeout(this.#timer);
        this.#waiting = undefined;
        resolve(answer);
      };
      this.#waiting = {
        heard: (part) => {
          if (part.verdict !== undefined || part.ready) return end(part);
          onPart(part);
          clearTimeout(this.#timer);
          const limit = limitOf(part);
          if (limit !== undefined) this.#timer = setTimeout(() => end({ ...part, verdict: 'endless', clean: false }), limit + GRACE_MS);
          return undefined;
        },
        gone: (code) => end({ verdict: 'noticed', error: `the process ended with ${code}: ${this.#errors}`, died: true, clean: false }),
      };
      send();
    });
  }

  async #start(mutant) {
    this.kill();
    this.#errors = '';
    const child = fork(join(this.#folder, 'worker.js'), {
      cwd: this.#folder,
      execPath: join(ROOT, 'node_modules/.bin/node'),
      execArgv: ['--max-old-space-size=1500', '--no-warnings'],
      env: { ...process.env, TMPDIR: join(this.#folder, 'tmp'), ...(mutant === undefined ? {} : { MUTANT: String(mutant) }) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    child.stderr.on('data', (data) => {
      this.#errors = `${this.#errors}${data}`.slice(-2000);
    });
    child.on('message', (part) => {
      if (this.#child === child) this.#waiting?.heard(part);
    });
    child.on('exit', (code, signal) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#waiting?.gone(signal ?? code);
    });
    await this.#answer(
      () => undefined,
      () => undefined,
      () => undefined,
    );
  }

  kill() {
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
  }

  /** Lets the tests tidy up, and ends the process. */
  close() {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    child.send({ end: true });
    setTimeout(() => child.kill('SIGKILL'), 5_000).unref();
  }
}
