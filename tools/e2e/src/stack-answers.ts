import type { TestProject } from 'vitest/node';
import { readBaseUrl } from './base-url.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Handed on from BASE_URL, because Vitest uses that name for itself where the tests run. */
    baseUrl: string;
    /** Prints an access token. */
    tokenCommand: string;
  }
}

/** Before the first test: without a stack every test would fail, and none would say why. */
export default async function stackAnswers(project: TestProject) {
  try {
    const baseUrl = readBaseUrl(process.env['BASE_URL']);
    const url = new URL('/healthz', baseUrl);
    const { status } = await fetch(url, { signal: AbortSignal.timeout(10_000) }).catch((error) => {
      throw new Error(`No stack answers at ${url}: start one, or set BASE_URL to where it is (${why(error)})`);
    });
    if (status !== 200) throw new Error(`${url} answered ${status} instead of 200: what listens there is no Keelson`);
    project.provide('baseUrl', baseUrl);
    project.provide('tokenCommand', process.env['TOKEN_COMMAND'] ?? 'scripts/token');
  } catch (error) {
    console.error((error as Error).message);
    process.exit(1);
  }
}

const why = (error: Error) => (error.cause instanceof Error ? error.cause.message : error.message);
