/** Facts that go with a message: never a secret, never event content. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Structured logging: one line per call whatever its texts hold, levels as in OpenTelemetry's severity names. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}
