import { Refusal } from './refusal.ts';

/** A text as lines, changed at anchors; every change can be taken back to the byte. */
export function edit(file: string, text: string) {
  const lines = text.split('\n');
  const find = (what: string, test: (line: string) => boolean, from = 0) => {
    const index = lines.findIndex((line, index) => index >= from && test(line));
    if (index < 0) throw new Refusal(`${file} has no ${what}: without it the service cannot be wired there.`);
    return index;
  };
  return {
    toString: () => lines.join('\n'),
    /** Behind the last of the lines that follow the anchor and match. */
    appendTo(what: string, anchor: RegExp, member: RegExp, ...added: string[]) {
      let at = find(what, (line) => anchor.test(line)) + 1;
      while (lines[at] !== undefined && member.test(lines[at]!)) at++;
      lines.splice(at, 0, ...added);
    },
    /** Before the line, and before the comment that stands above it. */
    insertBefore(what: string, anchor: RegExp, ...added: string[]) {
      let at = find(what, (line) => anchor.test(line));
      while (/^\s*#/.test(lines[at - 1] ?? '')) at--;
      lines.splice(at, 0, ...added);
    },
    insertAbove(what: string, anchor: RegExp, ...added: string[]) {
      lines.splice(
        find(what, (line) => anchor.test(line)),
        0,
        ...added,
      );
    },
    insertAfterLast(what: string, anchor: RegExp, ...added: string[]) {
      const at = lines.findLastIndex((line) => anchor.test(line));
      find(what, (line) => anchor.test(line));
      lines.splice(at + 1, 0, ...added);
    },
    remove(test: (line: string, next: string | undefined) => boolean) {
      const kept = lines.filter((line, index) => !test(line, lines[index + 1]));
      lines.splice(0, lines.length, ...kept);
    },
    /** A key of two blanks and all that is deeper, up to the next one or its comment. */
    removeBlock(name: string) {
      const start = lines.indexOf(`  ${name}:`);
      if (start < 0) return;
      let end = start + 1;
      while (end < lines.length && !/^ {0,2}\S/.test(lines[end]!)) end++;
      lines.splice(start, end - start);
    },
  };
}
