/** The value that `make` returns, or undefined if it throws. At this line hostile bytes become a fact. */
export function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

/** Whether `check` does not throw. */
export function holds(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
