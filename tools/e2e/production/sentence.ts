/** What an operators' verb says last, without the seconds in front. */
export const sentence = (output: string) =>
  output
    .trimEnd()
    .split('\n')
    .at(-1)!
    .replace(/^ *\d+ s {2}/, '');
