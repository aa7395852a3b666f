import pino from 'pino';
import type { LogFields, Logger } from '../core/ports/logger.ts';

const STDERR = 2;
/** Names that the line itself uses; a field with such a name is renamed. */
const RESERVED = new Set(['level', 'time', 'msg']);
/** Control characters that JSON leaves as they are: some terminals obey them, some readers break lines at them. */
const UNESCAPED = /[\u007f-\u009f\u2028\u2029]/g;

/** A {@link Logger} that writes one JSON line per call to a file descriptor, stderr unless told otherwise. */
export function pinoLogger(level: 'debug' | 'info' | 'warn' | 'error', fd = STDERR): Logger {
  const destination = pino.destination({ fd, sync: true });
  const stream = { write: (line: string): unknown => destination.write(line.replaceAll(UNESCAPED, escaped)) };
  const formatters = { level: (label: string): object => ({ level: label.toUpperCase() }) };
  return wrap(pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters }, stream), {});
}

/** Fields of children are merged here, because pino would write a field twice that is in both. */
function wrap(logger: pino.Logger, bound: LogFields): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}): void =>
      logger[level]({ ...bound, ...renamed(fields) }, message);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(logger, { ...bound, ...renamed(fields) }),
  };
}

function renamed(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [RESERVED.has(name) ? `${name}_` : name, value]));
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
