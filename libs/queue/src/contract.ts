import type { z } from 'zod';

/** What both sides of a job agree on: its name, what it carries, how often it is tried. */
export type JobContract<T = unknown> = { name: string; payload: z.ZodType<T>; maxAttempts: number };

export const defineJob = <T>(contract: JobContract<T>) => contract;

/** A job as it lies in the queue: its payload, and the request that caused it. */
export type Envelope = { data: unknown; requestId: string };
