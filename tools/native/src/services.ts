import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const serviceFile = z.object({
  kind: z.enum(['api', 'worker', 'job', 'ingress']),
  routes: z.array(z.string().startsWith('/')).default([]),
  schema: z.string().optional(),
  /** What it may do at other services, with a token of its own. */
  scope: z.string().optional(),
  /** The names of the contracts in libs/jobs whose handlers it has. */
  jobs: z.array(z.string()).optional(),
});

export type Service = z.infer<typeof serviceFile> & { name: string; folder: string };

/** Every folder in services/ that says in its service.json what it is. An ingress is no part of a stack, but before it. */
export function findServices(root: string): Service[] {
  const folders = readdirSync(join(root, 'services')).map((name) => ({ name, folder: join(root, 'services', name) }));
  return folders
    .filter(({ folder }) => existsSync(join(folder, 'service.json')))
    .map(describe)
    .filter(({ kind }) => kind !== 'ingress');
}

function describe({ name, folder }: { name: string; folder: string }): Service {
  try {
    return { ...serviceFile.parse(JSON.parse(readFileSync(join(folder, 'service.json'), 'utf8'))), name, folder };
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new Error(`services/${name}/service.json cannot be used: ${reason}`);
  }
}

/** How environment variables name a service: `ROSTER_API` of `ROSTER_API_URL`. */
export const variableName = (name: string) => name.toUpperCase().replaceAll('-', '_');
