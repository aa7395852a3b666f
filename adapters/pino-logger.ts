import pino from 'pino';
import type { LogFields, Logger } from '../core/ports/logger.ts';

/** A {@link Logger} that writes one JSON line per call to stderr. */
export function pinoLogger(level: 'debug' | 'info' | 'warn' | 'error'): Logger {
  return wrap(pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true })));
}

function wrap(logger: pino.Logger): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}): void =>
      logger[level](fields, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: (fields) => wrap(logger.child(fields)) };
}
