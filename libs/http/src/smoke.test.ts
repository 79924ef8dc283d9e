import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { asker } from './smoke.ts';

async function ask() {
  const app = express().use(express.json());
  app.post(
    '/echo',
    (req, res) =>
      void res.status(201).json({ body: req.body, key: req.get('idempotency-key'), by: req.get('authorization') }),
  );
  app.delete('/echo', (_req, res) => void res.status(204).end());
  app.get('/broken', (_req, res) => void res.status(500).json({ detail: 'no such column' }));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return asker(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'a-token');
}

test('gives what an answer holds, and nothing of one that is empty', async () => {
  const call = await ask();
  const sent = { json: { a: [1] }, headers: { 'idempotency-key': 'k' } };
  expect(await call('POST', '/echo', 201, sent)).toEqual({
    body: { a: [1] },
    key: 'k',
    by: 'Bearer a-token',
  });
  expect(await call('DELETE', '/echo', 204)).toBe(undefined);
});

test('takes another status for an error, and says what was asked and answered', async () => {
  const call = await ask();
  await expect(call('GET', '/broken', 200)).rejects.toThrow(
    'GET /broken answers 500, not 200: {"detail":"no such column"}',
  );
});
