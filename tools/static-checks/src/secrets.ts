import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';
import { extname, join } from 'node:path';
import { counted, type Check } from './check.ts';

// Passwords that tests have made up.
const INVENTED = '/:\\/\\/\\w+:(hunter2|nothing|test)@/';

const config = {
  rules: [
    {
      id: '@secretlint/secretlint-rule-preset-recommend',
      rule: creator,
      rules: [{ id: '@secretlint/secretlint-rule-database-connection-string', options: { allows: [INVENTED] } }],
    },
  ],
};

/** What looks like a key, a token or a password in a file that Git has or would add; what it had before is not read. */
export const secrets: Check = async ({ root, files, read }) => {
  const problems = [];
  for (const file of files) {
    const source = {
      filePath: join(root, file),
      content: read(file),
      contentType: 'text',
      ext: extname(file),
    } as const;
    // What is found is not printed: a log is no better a place for it.
    const { messages } = await lintSource({ source, options: { config, maskSecrets: true } });
    for (const { message, loc, ruleId } of messages)
      problems.push({
        file,
        line: loc.start.line,
        what: `${message} (${ruleId.replace('@secretlint/secretlint-rule-', '')})`,
        mend: 'take it out, and make a new one if it was ever pushed; one that is invented goes to INVENTED in secrets.ts.',
      });
  }
  return { seen: counted(files.length, 'file'), problems };
};
