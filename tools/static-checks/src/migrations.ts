import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { counted, type Check } from './check.ts';

type Finding = { file: string; line: number; message: string; help: string | null; rule_name: string };

// What squawk would say of each migration here, or of none.
const NOT_ASKED = [
  'prefer-robust-stmts', // a migration is one transaction: there is no half of it to run again
  'require-lock-timeout', // libs/postgres sets it for every migration
  'require-statement-timeout', // the same: waiting is bounded, work is not
  'prefer-bigint-over-int', // Prisma's Int is one; schema.prisma says BigInt where it counts what grows
  'prefer-identity', // Prisma's autoincrement() is SERIAL
];

const MIGRATION = /(^|\/)migrations\/[^/]+\/migration\.sql(\.template)?$/;
// npm's shim for it is a shell script on Windows; the file that it starts is not.
const squawk = fileURLToPath(import.meta.resolve('squawk-cli/js/bin/squawk'));

/** What would stop a running service: locks that last, and changes that the release before cannot live with. */
export const migrations: Check = ({ root, files }) => {
  const scripts = files.filter((file) => MIGRATION.test(file));
  const problems = findings(root, scripts).map(({ file, line, message, help, rule_name: rule }) => ({
    file,
    line: line + 1,
    what: `${message} (${rule})`,
    mend: `${help ? `${help}. ` : ''}If it has to be, write the reason and "-- squawk-ignore ${rule}" above the statement.`,
  }));
  return { seen: counted(scripts.length, 'migration'), problems };
};

function findings(root: string, scripts: string[]): Finding[] {
  if (scripts.length === 0) return [];
  const args = ['--assume-in-transaction', '--reporter=json', `--exclude=${NOT_ASKED.join(',')}`, ...scripts];
  const { stdout, stderr } = spawnSync(process.execPath, [squawk, ...args], { cwd: root, encoding: 'utf8' });
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`squawk did not answer: ${stderr.trim() || stdout.trim()}`);
  }
}
