import { postgresUrl, processSettings, readConfig, wholeNumber } from '@keelson/config';
import { z } from 'zod';

const SERVICE_VARIABLE = /^([A-Z0-9_]+_DATABASE)_(URL|PASSWORD)(_FILE)?$/;

/** A role is made of its user name and password. */
const roleUrl = postgresUrl.refine(
  (url) => URL.canParse(url) && new URL(url).username && new URL(url).password,
  'must name a role, and its password must be there, in …_PASSWORD or in a file: postgresql://role:password@host:5432/database',
);

/**
 * DATABASE_URL is a superuser's, MIGRATOR_URL names the role that owns the schemas, and every `<SERVICE>_DATABASE_URL` a
 * role and its schema to provide for. OTHER_LOGINS=close shuts out the login of each service that is not named.
 */
export function readProvisionConfig() {
  const names = Object.keys(process.env).filter((name) => SERVICE_VARIABLE.test(name));
  const services = Object.fromEntries(names.map((name) => [name.replace(SERVICE_VARIABLE, '$1_URL'), roleUrl]));
  const { DATABASE_URL, MIGRATOR_URL, DATABASE_WAIT_SECONDS, OTHER_LOGINS, ...rest } = readConfig({
    ...processSettings,
    ...services,
    DATABASE_URL: postgresUrl,
    MIGRATOR_URL: roleUrl,
    DATABASE_WAIT_SECONDS: wholeNumber(1, 3600).default(60),
    OTHER_LOGINS: z.enum(['keep', 'close']).default('keep'),
  });
  const serviceUrls = Object.entries(rest).filter(([name]) => name in services);
  return {
    adminUrl: DATABASE_URL,
    waitSeconds: DATABASE_WAIT_SECONDS,
    roles: {
      migratorUrl: MIGRATOR_URL,
      serviceUrls: serviceUrls.map(([, url]) => url as string),
      otherLogins: OTHER_LOGINS,
    },
  };
}
