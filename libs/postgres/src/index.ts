export { isDuplicate, isUnavailable } from './errors.ts';
export { withStructureLock } from './lock.ts';
export { awaitMigrations, migrate, migrationNames, missingMigration } from './migrate.ts';
export { connection, createPool, schemaOf } from './pool.ts';
export { provision, QUEUE_ROLE } from './provision.ts';
export { reasonOf, waitForPostgres, type Say } from './ready.ts';
