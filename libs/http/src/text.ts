import { z } from 'zod';

/** A line of text that Postgres can hold: no control characters (it refuses U+0000), no half of a surrogate pair. */
export const line = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(/^\P{Cc}*$/u, 'must not hold control characters')
    .refine((text) => text.isWellFormed(), 'must be well-formed Unicode');

/** What another program says, as far as Postgres can hold it: without U+0000. */
export const report = (max: number) =>
  z
    .string()
    .max(max)
    .overwrite((text) => text.replaceAll('\0', ''));
