/** Changes that no rule makes: enclosing function, source of the node that changes, what is there then. */
export const ANCHORED = {};
