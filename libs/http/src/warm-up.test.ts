import { createLogger } from '@keelson/logger';
import request from 'supertest';
import { beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi } from './api.ts';
import { operation, type Operation } from './operation.ts';
import { warmUp } from './warm-up.ts';

const UUID = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const answers = { 200: { description: 'Ships', schema: z.object({}) } };

let asked: string[];
let logged: string[];
beforeEach(() => {
  asked = [];
  logged = [];
});

const ships = (method: 'get' | 'post', path: string, fails = false): Operation =>
  operation({
    method,
    path,
    summary: 'Ships',
    access: 'public',
    answers,
    handle: ({ req, res }) => {
      asked.push(`${method} ${req.path}`);
      if (fails) throw new Error('sunk');
      res.json({});
    },
  });

const appOf = (...operations: Operation[]) =>
  createApi({
    service: { service: 'ships-api', version: '1', commit: 'c', build: '42' },
    log: createLogger({ service: 'ships-api', level: 'info' }, { write: (line) => void logged.push(line) }),
    operations,
    ready: async () => undefined,
    isUnavailable: () => false,
  });

test('asks for all that can be read, as often as it is told, and writes nothing, not even to the log', async () => {
  const app = appOf(ships('get', '/ships'), ships('post', '/ships'), ships('get', '/ships/{id}/crew'));
  expect(await warmUp(app, 41)).toBe(41);
  expect(asked.filter((what) => what === 'get /ships').length).toBe(21);
  const crews = asked.filter((what) => new RegExp(`^get /ships/${UUID}/crew$`).test(what));
  expect(new Set(crews).size).toBe(20);
  expect(logged).toEqual([]);
});

test('what comes after it is logged', async () => {
  const app = appOf(ships('get', '/ships'));
  await warmUp(app, 1);
  await request(app).get('/ships');
  expect(logged).toEqual([expect.stringContaining('GET /ships 200')]);
});

test('ends where something fails', async () => {
  expect(await warmUp(appOf(ships('get', '/ships', true)), 1000)).toBeLessThan(30);
});

test('an app that has nothing to read is as warm as it gets', async () => {
  expect(await warmUp(appOf(ships('post', '/ships')), 10)).toBe(0);
});
