/** Where the proxy of the stack under test listens. */
export function readBaseUrl(given: string | undefined): string {
  if (!given) throw new Error('BASE_URL is missing: set it to where the proxy listens, such as http://localhost:1337');
  if (!/^https?:/.test(given) || !URL.canParse(given))
    throw new Error(`BASE_URL must be an http or https address such as http://localhost:1337, but is ${given}`);
  return given;
}
