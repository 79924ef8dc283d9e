import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

/**
 * One JSON object a line: level by name, ISO time, the service's name. Whatever is known of a request or a job is
 * added by `log.child({ requestId })`.
 */
export function createLogger(
  { service, level }: { service: string; level: string },
  destination?: DestinationStream,
): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: ['*.password', '*.authorization', 'headers.cookie'],
    },
    destination ?? pino.destination({ dest: 1, sync: true }),
  );
}
