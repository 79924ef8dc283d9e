import { postgresUrl, processSettings, readConfig, wholeNumber } from '@keelson/config';

const SERVICE_URL = /^[A-Z0-9_]+_DATABASE_URL(_FILE)?$/;

/** A role is made of its user name and password. */
const serviceUrl = postgresUrl.refine(
  (url) => URL.canParse(url) && new URL(url).username && new URL(url).password,
  'must name a role and its password, like postgresql://role:password@host:5432/database',
);

/** DATABASE_URL is a superuser's; every `<SERVICE>_DATABASE_URL` names a role and its schema to provide for. */
export function readProvisionConfig() {
  const names = Object.keys(process.env).filter((name) => SERVICE_URL.test(name));
  const services = Object.fromEntries(names.map((name) => [name.replace(/_FILE$/, ''), serviceUrl]));
  const { DATABASE_URL, DATABASE_WAIT_SECONDS, ...rest } = readConfig({
    ...processSettings,
    ...services,
    DATABASE_URL: postgresUrl,
    DATABASE_WAIT_SECONDS: wholeNumber(1, 3600).default(60),
  });
  const serviceUrls = Object.entries(rest).filter(([name]) => name in services);
  return {
    adminUrl: DATABASE_URL,
    waitSeconds: DATABASE_WAIT_SECONDS,
    serviceUrls: serviceUrls.map(([, url]) => url as string),
  };
}
