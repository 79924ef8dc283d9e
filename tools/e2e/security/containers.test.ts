import https from 'node:https';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { deployed, logOf, logOfIngress } from './deployed.ts';

test('the stack is reached through the ingress', async () => {
  const { host, tlsPort, domain, ca } = deployed;
  const status = await new Promise((resolve, reject) => {
    https
      .get({ host, port: tlsPort, servername: domain, headers: { host: domain }, ca: readFileSync(ca) }, (response) =>
        resolve(response.resume().statusCode),
      )
      .on('error', reject);
  });
  expect(status).toBe(200);
  expect((await logOf('proxy')).length).toBeGreaterThan(0);
  expect((await logOfIngress()).length).toBeGreaterThan(0);
});
