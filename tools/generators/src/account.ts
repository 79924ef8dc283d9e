import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { respell, spellings } from './project-name.ts';

type Renamed = { from: string; to: string; kept: string[]; lookalikes: string[] };

/** The last word on a rename: what it does not reach, and how to go on with that or without it. Read before it is done. */
export function accountOf(root: string, { from, to, kept, lookalikes }: Renamed): string {
  const [old, own] = [spellings(from).snake, spellings(to).snake];
  const alter = `'ALTER DATABASE ${old} RENAME TO ${own}'`;
  const paragraphs = [`${from} is ${to} now: look at git diff, run npm test, commit.`];

  if (kept.length > 0) paragraphs.push(`${kept.join(', ')}: the old name stays there, as history.`);
  if (lookalikes.length > 0)
    paragraphs.push(`${lookalikes.join(', ')}: ${to} stood there before, and a later rename will change that as well.`);

  if (existsSync(join(root, '.data/postgres')))
    paragraphs.push(
      `.data keeps the database ${old}, which nothing uses any more: the next npm start makes an empty ${own} beside it.\n` +
        'To begin afresh: rm -rf .data',
    );

  const project = projectIn(join(root, '.env')) ?? from;
  const volumes = volumesOf(project);
  const newProject = respell(project, from, to);
  const goOn =
    '  docker compose down && docker compose up --detach postgres\n' +
    `  docker compose exec postgres psql --username=postgres --dbname=postgres --command=${alter}`;
  if (volumes.length > 0 && newProject === project)
    paragraphs.push(`The stack ${project} keeps its volumes. To go on with its data:\n${goOn}`);
  else if (volumes.length > 0)
    paragraphs.push(
      `Docker keeps the volumes ${volumes.join(', ')}: the stack ${newProject} makes its own, and they are empty.\n` +
        `To stop the old stack and remove its data: docker compose --project-name ${project} down --volumes\n` +
        `To go on with its data, put COMPOSE_PROJECT_NAME=${project} into .env, and:\n${goOn}`,
    );

  for (const file of readdirSync(root).filter((file) => /^\.env\.(?!template$)/.test(file))) {
    const named = projectIn(join(root, file));
    if (named)
      paragraphs.push(
        `${file} is as it was: its stack keeps the project name ${named}, and its data.\n` +
          `Before its next deploy its database has to be called ${own}, which it can be while nothing uses it: ${alter}\n` +
          `What it shares with other stacks has the new name, too, such as the network ${to}-outer.`,
      );
  }
  return paragraphs.join('\n\n');
}

function projectIn(file: string) {
  if (!existsSync(file)) return undefined;
  return /^COMPOSE_PROJECT_NAME=(\S+)$/m.exec(readFileSync(file, 'utf8'))?.[1];
}

/** None where no engine answers. */
function volumesOf(project: string): string[] {
  const filter = `label=com.docker.compose.project=${project}`;
  const { stdout } = spawnSync('docker', ['volume', 'ls', '--quiet', '--filter', filter], {
    encoding: 'utf8',
    timeout: 5000,
  });
  return (stdout ?? '').split('\n').filter(Boolean);
}
