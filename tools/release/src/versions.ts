const VERSION = /^(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
const BUMPS = ['major', 'minor', 'patch'];

export const isVersion = (text: string) => VERSION.test(text);
export const isPreview = (version: string) => version.includes('-');

/** The version that `wanted` is, or makes of the present one; undefined where it is neither a version nor a bump. */
export function nextVersion(present: string, wanted: string): string | undefined {
  if (isVersion(wanted)) return wanted;
  const place = BUMPS.indexOf(wanted);
  if (place < 0) return undefined;
  const parts = numbersOf(present);
  // 1.3.0-rc.1 is on its way to 1.3.0.
  if (isPreview(present) && parts.slice(place + 1).every((part) => part === 0)) return parts.join('.');
  return parts.map((part, index) => (index < place ? part : index === place ? part + 1 : 0)).join('.');
}

/** Below 0 where `a` is the older one. */
export function compare(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  const place = left.findIndex((part, index) => part !== right[index]);
  if (place >= 0) return left[place]! - right[place]!;
  if (isPreview(a) !== isPreview(b)) return isPreview(a) ? -1 : 1;
  return a.localeCompare(b, 'en', { numeric: true });
}

const numbersOf = (version: string) => VERSION.exec(version)!.slice(1, 4).map(Number);
