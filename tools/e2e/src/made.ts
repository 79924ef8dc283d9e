import { send, type Answer } from './http.ts';

const made = new Set<string>();

/** Notes what an answer says was made, also where a test did not mean to make it. */
export function remember({ method, status, headers }: Answer) {
  if (method === 'POST' && status === 201 && headers.location) made.add(headers.location);
}

/** Removes all that was made in this file. Exports stay: the API has no way to remove one. */
export async function removeAll() {
  for (const location of made) {
    const { status, text } = await send('DELETE', location);
    if (status !== 204 && status !== 404) throw new Error(`DELETE ${location} answered ${status}: ${text}`);
    made.delete(location);
  }
}
