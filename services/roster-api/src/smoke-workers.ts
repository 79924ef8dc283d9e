import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { asker } from '@keelson/http/smoke';
import { WORKERS } from './worker.ts';

/**
 * Asks a roster-api that runs for everything that touches its tables, so that a schema it cannot live with is noticed.
 * Leaves an export behind, and no worker.
 * @param token which may read and write them
 * @throws Error that says what was asked and answered
 */
export async function smokeWorkers(url: string, token: string) {
  const ask = asker(url, token);
  const once = { headers: { 'idempotency-key': randomUUID() } };
  const sent = { name: 'Smoke Test', role: 'test', email: `${randomUUID()}@example.com`, hiredOn: '2024-02-29' };

  await ask('GET', '/readyz', 200);
  const added = await ask('POST', WORKERS, 201, { ...once, json: sent });
  assert.deepEqual({ ...added, ...sent }, added, 'a new worker has other fields than those that were sent');
  assert.deepEqual(await ask('POST', WORKERS, 201, { ...once, json: sent }), added, 'a worker was added twice');
  const place = `${WORKERS}/${added.id}`;
  assert.deepEqual(await ask('GET', place, 200), added, 'a worker is read otherwise than it was added');
  for (const sort of ['id', 'name', '-hiredOn'])
    await ask('GET', `${WORKERS}?limit=1&role=test&search=smoke&sort=${sort}`, 200);
  const changed = await ask('PATCH', place, 200, { json: { role: 'tested' } });
  assert.equal(changed.role, 'tested', 'a change of a worker is not kept');
  await ask('DELETE', place, 204);
  await ask('GET', place, 404);

  const { id } = await ask('POST', '/api/v1/exports', 202, { json: {} });
  await ask('GET', `/api/v1/exports/${id}`, 200);
  await ask('GET', '/api/v1/exports?limit=1', 200);
}
