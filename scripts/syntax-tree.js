// Parses TypeScript with swc and gives a tree whose nodes say where they are in the text.
import { parseSync } from '@swc/core';

/** Offset in `text` of each byte of its UTF-8 form; undefined if all of it is ASCII, so that both offsets are equal. */
function offsetsOf(text) {
  if (Buffer.byteLength(text) === text.length) return undefined;
  const offsets = [];
  let at = 0;
  for (const character of text) {
    for (let i = Buffer.byteLength(character); i > 0; i--) offsets.push(at);
    at += character.length;
  }
  offsets.push(at);
  return offsets;
}

/**
 * The statements of `text`. Each node has `from` and `to`, its bounds in `text`, beside the fields of swc.
 * swc counts bytes from a base that differs between versions; an empty statement put before the text shows the base.
 */
export function parse(text) {
  const source = `;${text.replace(/^#!/, '//')}`;
  const offsets = offsetsOf(text);
  const { body } = parseSync(source, { syntax: 'typescript', target: 'es2023' });
  const base = body[0].span.start + 1;
  const at = (position) => (offsets === undefined ? position - base : offsets[position - base]);
  const statements = body.slice(1);
  for (const statement of statements) {
    walk(statement, (node) => {
      if (node.span === undefined) return;
      node.from = at(node.span.start);
      node.to = at(node.span.end);
    });
  }
  return statements;
}

/** Nodes directly below `node`, in the order of the text's grammar. */
export function* childrenOf(node) {
  for (const [name, value] of Object.entries(node)) {
    if (name === 'span') continue;
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each !== 'object' || each === null) continue;
      if (typeof each.type === 'string' || each.span !== undefined) yield each;
      // Arguments and elements come in a wrapper without a type.
      else if (typeof each.expression === 'object') yield each.expression;
    }
  }
}

/** Calls `visit(node, parents)` for `node` and everything below it; the nearest parent is the last one. */
export function walk(node, visit, parents = []) {
  visit(node, parents);
  const below = [...parents, node];
  for (const child of childrenOf(node)) walk(child, visit, below);
}

/** A function that gives the line, counted from 1, of an offset in `text`. */
export function lineCounter(text) {
  const starts = [0];
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) starts.push(i + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

const FUNCTIONS = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'ClassMethod',
  'PrivateMethod',
  'Constructor',
  'MethodProperty',
  'GetterProperty',
  'SetterProperty',
]);

/** Whether `node` is a function, method or accessor; a class's method holds its body in `function`. */
export function isFunction(node) {
  return FUNCTIONS.has(node.type);
}

/** The body of a function: a block, an expression, or undefined if only its type is declared. */
export function bodyOf(node) {
  return (node.function ?? node).body ?? undefined;
}

/** The parameters of a function. */
export function parametersOf(node) {
  return (node.function ?? node).params ?? node.params;
}
