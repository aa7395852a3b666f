/** A message for the operator: "cannot <verb> <noun>: <fact>", and what to do. Any other error is a bug. */
export class StackError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'StackError';
  }
}

/**
 * The text of any thrown value.
 * @param {unknown} error
 */
export function messageOf(error) {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : JSON.stringify(error);
}
