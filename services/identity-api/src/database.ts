import { PrismaPg } from '@prisma/adapter-pg';
import type { Pool } from 'pg';
import { PrismaClient } from '../generated/prisma/client.ts';

export type Database = PrismaClient;

/** Prisma over the pool that the process has anyway. */
export const createDatabase = (pool: Pool, schema = 'public'): Database =>
  new PrismaClient({ adapter: new PrismaPg(pool, { schema }) });
