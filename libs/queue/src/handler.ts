import type { Logger } from '@keelson/logger';
import type { JobContract } from './contract.ts';

/** `signal` aborts when this worker stops. */
export type JobContext = { log: Logger; requestId: string; attempt: number; signal: AbortSignal };

/**
 * A contract and what is done for it. Both functions are idempotent: what was done, or half done, may be done again,
 * and by two at once where a worker was taken for dead because it could not reach the database.
 */
export type JobHandler<T = unknown> = {
  job: JobContract<T>;
  /** Takes less than 4 hours: after that the job is everybody's again. */
  run: (data: T, context: JobContext) => Promise<void>;
  /** Told once no try is left, with the reason of the last failure; tried again until it succeeds. */
  onGivenUp: (data: T, reason: string, context: JobContext) => Promise<void>;
};

/** Ties a handler to the payload type of its contract. */
export const handle = <T>(handler: JobHandler<T>) => handler as JobHandler;
