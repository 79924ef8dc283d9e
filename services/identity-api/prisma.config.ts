import { defineConfig } from 'prisma/config';

/** For the Prisma command line (`npx prisma migrate dev`); the services apply migrations by themselves. */
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env['DATABASE_URL'] ?? '' },
});
