/** Changes that no test can notice, because they change nothing that may be relied on: enclosing function, node, change, reason. */
export const EQUIVALENTS = {};
