/** What is wrong: where, what, and what to do about it. */
export type Problem = { file: string; line?: number; what: string; mend?: string };

/** `seen` says what was looked at; a check that cannot run here says why. */
export type Outcome = { seen: string; problems: Problem[] } | { skipped: string };

export type Check = (repository: Repository) => Outcome | Promise<Outcome>;

export type Repository = {
  root: string;
  /** Those of the working tree that Git has or would add, by their paths from the root. */
  files: string[];
  read: (file: string) => string;
};

export const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;

/** The line, from 1, on which a text has this for the first time. */
export function lineOf(text: string, part: string): number | undefined {
  const at = text.indexOf(part);
  return at < 0 ? undefined : text.slice(0, at).split('\n').length;
}

export function described({ file, line, what, mend }: Problem): string[] {
  const where = line === undefined ? file : `${file}:${line}`;
  return [`  ${where}: ${what}`, ...(mend ? [`    Mend: ${mend}`] : [])];
}
