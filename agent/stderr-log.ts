import pino from 'pino';
import type { EventLog } from './event-log.ts';

/** One JSON object a line on stderr: time, level, event, and the event's fields. */
export function openStderrLog(level: 'debug' | 'warn'): EventLog {
  const settings: pino.LoggerOptions = {
    level,
    // Whose log it is, is known to whoever collects it.
    base: null,
    messageKey: 'event',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
  };
  // Synchronous: what was logged is out, also when the process ends at once. Nothing is logged per chunk but at debug.
  const logger = pino(settings, pino.destination({ dest: 2, sync: true }));
  return {
    debug: (event, fields) => logger.debug(fields, event),
    info: (event, fields) => logger.info(fields, event),
    warn: (event, fields) => logger.warn(fields, event),
  };
}
