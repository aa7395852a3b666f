// Makes changes of a source by rule, from its syntax tree, so that no check of a function is forgotten and a refactoring breaks none of the rules.
import { bodyOf, childrenOf, isFunction, lineCounter, parse } from '../../scripts/syntax-tree.js';

/** @typedef {'expression' | 'statement' | 'property' | 'element' | 'body'} Kind What a mutant's range of the text is, and so how a switch is put around it. */
/**
 * @typedef {object} Mutant One change of a source.
 * @property {string} file Path from the root of the repository.
 * @property {string} name Enclosing named function or method, or 'module'.
 * @property {number} line
 * @property {string} node Source of what changes, in one line.
 * @property {string} change What is there instead, in one line.
 * @property {Kind} kind
 * @property {number} from
 * @property {number} to
 * @property {string} text The text that replaces the range.
 */

const MOVED = { '<': '<=', '<=': '<', '>': '>=', '>=': '>', '===': '!==', '!==': '===' };
/** Calls whose only use is that they refuse: their names begin so, or they are the object's own. */
const CHECKS = /^(?:this\.#?\w+(?:\.\w+)?|must\w*|check\w+|findings\.\w+|this\.#?o?\.?findings\.\w+|fail|refuse)$/;
/** Methods whose result may be replaced by the object that they are called on. */
const PASSING = new Set(['toSorted', 'toReversed', 'slice', 'subarray', 'filter', 'trim']);
const NOTHING = '(nothing)';

/** Source text in one line: a name for people, equal wherever the formatter breaks lines. */
export function oneLine(text) {
  return text
    .replaceAll(/([([])\s*\n\s*/g, '$1')
    .replaceAll(/,?\s*\n\s*([)\]])/g, '$1')
    .replaceAll(/,\s*\n\s*\}/g, ' }')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** Source text without what a formatter may change: equal texts are the same code. */
export function normalised(text) {
  return text
    .replaceAll(/\/\/.*/g, '')
    .replaceAll(/\s+/g, '')
    .replaceAll(/,(?=[)\]}])/g, '')
    .replaceAll(/;$/g, '');
}

function isLogical(node) {
  return node.type === 'BinaryExpression' && (node.operator === '&&' || node.operator === '||');
}

/** Operands of a chain of one logical operator, each with the range that stays when it goes. */
function* dropped(node, text) {
  const { left, right, operator } = node;
  yield [node, text.slice(left.from, left.to), text.slice(right.from, right.to)];
  if (isLogical(left) && left.operator === operator) return;
  yield [node, text.slice(right.from, right.to), text.slice(left.from, left.to)];
}

function calleeOf(expression, text) {
  const call = expression.type === 'AwaitExpression' ? expression.argument : expression;
  return call.type === 'CallExpression' ? text.slice(call.callee.from, call.callee.to) : undefined;
}

/** Whether an object literal below `parent` is a value that the function gives or keeps; others are mostly details of errors and log lines. */
function isBuilt(parent) {
  return ['ReturnStatement', 'VariableDeclarator', 'AssignmentExpression', 'ParenthesisExpression', 'ConditionalExpression'].includes(
    parent?.type,
  );
}

/** A spread element with its dots. */
function elementOf({ spread, expression }) {
  return { from: expression.from - (spread.end - spread.start), to: expression.to };
}

/** Changes of one node by the rules: `[node, kind, what is there then]`. */
const RULES = {
  /** Every condition fails, loses each of its parts and moves its bounds; a check is not called. */
  *checks(node, text) {
    if (node.type === 'IfStatement') yield [node.test, 'expression', 'false'];
    if (isLogical(node)) for (const [whole, rest] of dropped(node, text)) yield [whole, 'expression', rest];
    if (node.type === 'BinaryExpression' && node.operator in MOVED) {
      const { left, right, operator } = node;
      const moved = `${text.slice(left.from, left.to)} ${MOVED[operator]} ${text.slice(right.from, right.to)}`;
      yield [node, 'expression', moved];
    }
    if (node.type === 'ExpressionStatement') {
      const callee = calleeOf(node.expression, text);
      if (callee !== undefined && CHECKS.test(callee)) yield [node, 'statement', ''];
    }
  },
  /** Conditions always hold, values take a simpler one of their parts or lose one, and statements that keep something are left out. */
  *values(node, text, parent) {
    const source = (each) => text.slice(each.from, each.to);
    if (node.type === 'IfStatement') yield [node.test, 'expression', 'true'];
    if (node.type === 'ForOfStatement') yield [node, 'statement', ''];
    if (node.type === 'BinaryExpression' && ['??', '+', '-'].includes(node.operator)) {
      yield [node, 'expression', source(node.left)];
      if (node.operator !== '-') yield [node, 'expression', source(node.right)];
    }
    if (node.type === 'ConditionalExpression') {
      yield [node, 'expression', source(node.consequent)];
      yield [node, 'expression', source(node.alternate)];
    }
    if (node.type === 'CallExpression' && /^Math\.(?:max|min)$/.test(source(node.callee)))
      for (const each of node.arguments) if (!each.spread) yield [node, 'expression', source(each.expression)];
    if (node.type === 'CallExpression' && node.callee.type === 'MemberExpression' && PASSING.has(node.callee.property.value))
      yield [node, 'expression', source(node.callee.object)];
    if (node.type === 'ExpressionStatement') {
      const { type } = node.expression;
      if (type === 'AssignmentExpression' || type === 'UpdateExpression' || calleeOf(node.expression, text) !== undefined)
        yield [node, 'statement', ''];
    }
    if (node.type === 'ArrayExpression') for (const each of node.elements) if (each?.spread) yield [elementOf(each), 'element', ''];
    if (node.type === 'ObjectExpression' && isBuilt(parent))
      for (const each of node.properties)
        if (['KeyValueProperty', 'Identifier'].includes(each.type) && each.value?.value !== 'undefined') yield [each, 'property', ''];
  },
  /** Every named function or method does nothing. */
  *functions(node) {
    if (!isFunction(node) || node.type === 'ArrowFunctionExpression' || node.type === 'FunctionExpression') return;
    const body = bodyOf(node);
    if (body !== undefined && (body.stmts ?? []).length > 0) yield [body, 'body', '{}'];
  },
};

/** Bounds of an object's property, whose nodes carry none of their own in some forms. */
function boundsOf(node) {
  if (node.from !== undefined) return [node.from, node.to];
  return [(node.key ?? node).from, (node.value ?? node).to];
}

function nameOf(node) {
  const key = node.key ?? node.identifier ?? node.id;
  if (key === undefined || key === null) return undefined;
  return key.type === 'PrivateName' ? `#${key.value ?? key.id?.value}` : key.value;
}

/** What only types are made of, and is gone when the program runs. */
function isType(node) {
  if (['TsAsExpression', 'TsSatisfiesExpression', 'TsNonNullExpression', 'TsConstAssertion', 'TsTypeAssertion'].includes(node.type))
    return false;
  return (node.type ?? '').startsWith('Ts') || node.type?.startsWith('Import') === true || node.declare === true;
}

/** Visits what runs, with the name of the function around it, which for an arrow function is that of the outermost constant that holds it. */
function visit(node, name, parent, each) {
  if (isType(node)) return;
  let inner = name;
  if (isFunction(node) && node.type !== 'ArrowFunctionExpression') inner = nameOf(node) ?? name;
  else if (node.type === 'VariableDeclarator' && name === 'module' && isFunction(node.init ?? {})) inner = nameOf(node) ?? name;
  each(node, inner, parent);
  for (const child of childrenOf(node)) visit(child, inner, node, each);
}

/** All mutants of a source by these rules, without repetition. @returns {Mutant[]} */
export function mutantsOf(file, text, rules) {
  const line = lineCounter(text);
  const found = new Map();
  for (const statement of parse(text)) {
    visit(statement, 'module', undefined, (node, name, parent) => {
      for (const rule of rules) {
        for (const [changed, kind, then] of RULES[rule](node, text, parent)) {
          const [from, to] = boundsOf(changed);
          const source = text.slice(from, to);
          if (normalised(source) === normalised(then)) continue;
          const key = `${from} ${to} ${normalised(then)}`;
          if (found.has(key)) continue;
          const [was, change] = kind === 'body' ? [name, 'does nothing'] : [oneLine(source), oneLine(then) || NOTHING];
          found.set(key, { file, name, line: line(from), node: was, change, kind, from, to, text: then });
        }
      }
    });
  }
  return [...found.values()];
}

const EXPRESSION = /Expression$|^Identifier$|Literal$/;
const STATEMENT = /Statement$/;

/** Every node of a source whose text is `source`, whatever its form; of nodes with the same bounds the outermost. @returns {Mutant[]} */
export function mutantsAt(file, text, [name, source, then]) {
  const line = lineCounter(text);
  const wanted = normalised(source);
  const found = new Map();
  for (const statement of parse(text)) {
    visit(statement, 'module', undefined, (node, around) => {
      if (node.from === undefined || around !== name || normalised(text.slice(node.from, node.to)) !== wanted) return;
      const kind = STATEMENT.test(node.type) ? 'statement' : EXPRESSION.test(node.type) ? 'expression' : undefined;
      const key = `${node.from}`;
      if (kind === undefined || found.has(key)) return;
      const { from, to } = node;
      found.set(key, { file, name, line: line(from), node: oneLine(source), change: oneLine(then) || NOTHING, kind, from, to, text: then });
    });
  }
  return [...found.values()];
}
