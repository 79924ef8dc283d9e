import { readFileSync } from 'node:fs';
import { z } from 'zod';

type Environment = Record<string, string | undefined>;

/** What every process is told, whatever it does. */
export const processSettings = {
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  SERVICE_VERSION: z.string().default('development'),
  SERVICE_COMMIT: z.string().default('unknown'),
  BUILD_NUMBER: z.string().default('none'),
};

/** What a process is made of, for whoever asks it or reads its log. */
export const releaseOf = ({ SERVICE_VERSION, SERVICE_COMMIT, BUILD_NUMBER }: Release) => ({
  version: SERVICE_VERSION,
  commit: SERVICE_COMMIT,
  build: BUILD_NUMBER,
});
type Release = Record<'SERVICE_VERSION' | 'SERVICE_COMMIT' | 'BUILD_NUMBER', string>;

/** A number in digits alone, where `z.coerce` would take 1e2, 0x10 and a blank too. */
export function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, error)
    .transform(Number)
    .pipe(z.number().min(min, error).max(max, error));
}

export const port = wholeNumber(0, 65_535);
export const postgresUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: 'must be a URL like postgresql://user:password@host:5432/database',
});
export const httpUrl = z.url({ protocol: /^https?$/, error: 'must be a URL like http://host:3000' });

/** A role has a second login, whose name is the role's and this. They take turns: both are good while a password changes. */
export const SECOND_LOGIN = '.2';

/** Every variable that is missing or wrong, one to a line. */
export class ConfigError extends Error {}

/**
 * Reads `shape` from the environment. A variable NAME can be given as NAME_FILE instead: the path of a file that
 * holds the value, as Compose and Swarm secrets do; its last line end is dropped. The password of a URL X_URL can be
 * given apart from it, as X_PASSWORD or X_PASSWORD_FILE, and is then any text; where it is that of the role's second login,
 * `role.2:password`.
 * @throws ConfigError that names every bad variable at once
 */
export function parseConfig<S extends z.ZodRawShape>(shape: S, environment: Environment): z.infer<z.ZodObject<S>> {
  const values: Environment = {};
  const problems = new Map<string, string>();
  const read = (name: string) => {
    const value = environment[name] || undefined;
    const file = environment[`${name}_FILE`] || undefined;
    if (value !== undefined && file !== undefined) problems.set(name, `is given twice, as ${name} and as ${name}_FILE`);
    try {
      return file === undefined ? value : readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    } catch (error) {
      problems.set(name, `cannot be read from ${file} (${(error as NodeJS.ErrnoException).code})`);
      return undefined;
    }
  };
  const readPassword = (name: string, of: string) => {
    const password = read(name);
    const url = values[of] && URL.canParse(values[of]) ? new URL(values[of]) : undefined;
    if (password === undefined || !url) return;
    if (password === '') problems.set(name, `is empty: the file ${environment[`${name}_FILE`]} holds no password`);
    else if (!url.username) problems.set(of, `names no user, whose password ${name} would be`);
    else if (url.password) problems.set(of, `has a password already, and ${name} gives one too: leave one of them out`);
    const second = `${decodeURIComponent(url.username)}${SECOND_LOGIN}`;
    const isSecond = password.startsWith(`${second}:`);
    if (isSecond) url.username = encodeURIComponent(second);
    url.password = encodeURIComponent(isSecond ? password.slice(second.length + 1) : password);
    values[of] = url.href;
  };
  for (const name of Object.keys(shape)) {
    values[name] = read(name);
    if (name.endsWith('_URL')) readPassword(name.replace(/_URL$/, '_PASSWORD'), name);
  }
  const parsed = z.object(shape).safeParse(values);
  for (const issue of parsed.error?.issues ?? []) {
    const name = String(issue.path[0]);
    const missing = values[name] === undefined;
    if (!problems.has(name)) problems.set(name, missing ? `is missing: set ${name} or ${name}_FILE` : issue.message);
  }
  if (problems.size > 0 || !parsed.success)
    throw new ConfigError([...problems].map(([name, problem]) => `  ${name} ${problem}`).join('\n'));
  return parsed.data;
}

/** As `parseConfig`, for a main program: a bad configuration is printed and ends the process with EX_CONFIG (78, sysexits.h). */
export function readConfig<S extends z.ZodRawShape>(shape: S, environment: Environment = process.env) {
  try {
    return parseConfig(shape, environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`This process cannot start with its environment:\n${error.message}\n`);
    process.exit(78);
  }
}
