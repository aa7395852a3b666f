/** What the operator has to read: "cannot <verb> <noun>: <fact>", and what to do. Anything else that is thrown is a bug. */
export class StackError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'StackError';
  }
}

/**
 * The text of anything that was thrown.
 * @param {unknown} error
 */
export function messageOf(error) {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : JSON.stringify(error);
}
