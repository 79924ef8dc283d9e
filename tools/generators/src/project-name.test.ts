import { describe, expect, test } from 'vitest';
import { mentions, respell } from './project-name.ts';

describe('a name is spelled as the place wants it', () => {
  test.for([
    ["import { a } from '@dinghy/config';", "import { a } from '@tall-ship/config';"],
    ['image: ${REGISTRY:-dinghy}/roster-api', 'image: ${REGISTRY:-tall-ship}/roster-api'],
    ['name: dinghy', 'name: tall-ship'],
    ["mkdtempSync(join(tmpdir(), 'dinghy-e2e-'))", "mkdtempSync(join(tmpdir(), 'tall-ship-e2e-'))"],
    ['volume dinghy_postgres', 'volume tall_ship_postgres'],
    ['template_dinghy', 'template_tall_ship'],
    ['@postgres:5432/dinghy?schema=roster', '@postgres:5432/tall_ship?schema=roster'],
    ['postgresql://one@host/dinghy', 'postgresql://one@host/tall_ship'],
    ['Postgres at 127.0.0.1:${port}/dinghy as me', 'Postgres at 127.0.0.1:${port}/tall_ship as me'],
    ['/at postgres:1\\/dinghy as/', '/at postgres:1\\/tall_ship as/'],
    ['registry:5000/dinghy/roster-api', 'registry:5000/tall-ship/roster-api'],
    ['git clone https://example.com/someone/dinghy', 'git clone https://example.com/someone/tall-ship'],
    ['POSTGRES_DB: dinghy', 'POSTGRES_DB: tall_ship'],
    ['psql --dbname=dinghy --quiet', 'psql --dbname=tall_ship --quiet'],
    ["const DATABASE = 'dinghy';", "const DATABASE = 'tall_ship';"],
    ['CREATE DATABASE dinghy', 'CREATE DATABASE tall_ship'],
    ['<title>Dinghy</title>', '<title>Tall Ship</title>'],
    ['Dinghy is up', 'Tall Ship is up'],
    ['DINGHY_URL=', 'TALL_SHIP_URL='],
    ['class DinghyError extends', 'class TallShipError extends'],
    ['startDinghy(dinghyUrl)', 'startTallShip(tallShipUrl)'],
  ])('%s', ([text, renamed]) => {
    expect(respell(text!, 'dinghy', 'tall-ship')).toBe(renamed);
    expect(respell(renamed!, 'tall-ship', 'dinghy')).toBe(text);
    expect(mentions(text!, 'dinghy')).toBe(true);
  });

  test.for([
    'A dinghy is a small boat.',
    'what a dinghy is',
    'dinghys and Dinghyish folk',
    'subdinghy',
    '"pump": "1.0.0-dinghy.2"',
    'REGISTRY=registry.example.com/dinghy',
  ])('%s stays', (text) => {
    expect(respell(text, 'dinghy', 'tall-ship')).toBe(text);
    expect(mentions(text, 'dinghy')).toBe(false);
  });
});
