import { DCLinter } from 'dclint';
import { join } from 'node:path';
import { counted, type Check } from './check.ts';

/** Its own types cannot be resolved: they import without extensions. */
type Result = { messages: { rule: string; line: number; message: string }[] };

// Besides these there are the rules of the Compose schema itself, always. What is left out is an order of keys, which is
// ours to choose, and no-build-and-image: an image that is built here has a name all the same.
const RULES = {
  'no-build-and-image': 0,
  'no-duplicate-container-names': 2,
  'no-duplicate-exported-ports': 2,
  'no-quotes-in-volumes': 0,
  'no-unbound-port-interfaces': 2,
  'no-version-field': 2,
  'require-project-name-field': 0, // only the base file has it
  'require-quotes-in-ports': 2,
  'service-container-name-regex': 2,
  'service-dependencies-alphabetical-order': 0,
  'service-image-require-explicit-tag': 2,
  'service-keys-order': 0,
  'service-ports-alphabetical-order': 0,
  'services-alphabetical-order': 0,
  'top-level-properties-order': 0,
} as const;

/** Whatever they are called: those that scripts put on top of the others have services as well. */
export const composeFiles: Check = ({ root, files, read }) => {
  const found = files.filter(
    (file) => /\.ya?ml(\.example)?$/.test(file) && file !== '.gitlab-ci.yml' && /^services:/m.test(read(file)),
  );
  const linter = new DCLinter({ rules: RULES, quiet: false, debug: false, exclude: [] });
  const problems = found.flatMap((file) => {
    const results: Result[] = linter.lintFiles([join(root, file)], false);
    return results.flatMap(({ messages }) =>
      messages.map(({ rule, line, message }) => ({
        file,
        line,
        what: `${message} (${rule})`,
        mend: EXEMPTIBLE.includes(rule)
          ? `if it is meant, say why and "# dclint disable-line ${rule}" in the line above.`
          : 'docker compose config says what Compose makes of it.',
      })),
    );
  });
  return { seen: counted(found.length, 'Compose file'), problems };
};

const EXEMPTIBLE = Object.keys(RULES);
