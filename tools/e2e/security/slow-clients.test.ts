import type net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../compose/until.ts';
import { connectRaw } from '../src/raw.ts';
import { deployed, stack } from './deployed.ts';

const CLIENTS = 800;
const host = `${deployed.domain}:${deployed.tlsPort}`;
/** What a slow client sends at first, and then a byte of a second, again and again. */
const SLOW = {
  headers: [`GET /api/v1/openapi.json HTTP/1.1\r\nHost: ${host}\r\nX-Slow: `, 'a'],
  bodies: [
    `POST /api/v1/workers HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n`,
    ' ',
  ],
} as const;
/** More than PROXY_CLIENT_TIMEOUT. */
const CUT_S = 30;
/** INGRESS_CLIENT_CONNECTIONS and PROXY_CLIENT_REQUESTS, as they are by default. */
const CONNECTIONS = 500;
const REQUESTS = 200;

/** Reads once after the other until it is stopped, in the network of the ingress: another client than those of this process. */
async function startOrdinaryClient() {
  const script = `
    const https = require('node:https');
    const agent = new https.Agent({ keepAlive: true });
    const seen = {};
    let stop = false;
    process.on('SIGTERM', () => (stop = true));
    const ask = () => new Promise((resolve) => {
      const count = (what) => { seen[what] = (seen[what] || 0) + 1; resolve(); };
      https.get({ host: 'ingress', port: 8443, servername: '${deployed.domain}', headers: { host: '${host}' }, agent,
        path: '/api/v1/openapi.json', timeout: 5000, rejectUnauthorized: false }, (answer) => {
        answer.resume().on('end', () => count(answer.statusCode)).on('error', (error) => count(error.message));
      }).on('timeout', function () { this.destroy(new Error('late')); }).on('error', (error) => count(error.message));
    });
    (async () => {
      while (!stop) { await ask(); await new Promise((resolve) => setTimeout(resolve, 50)); }
      console.log(JSON.stringify(seen));
      process.exit();
    })();
  `;
  const name = `${stack.project}-ordinary`;
  const network = deployed.settings['INGRESS_NETWORK']!;
  const image = `${stack.project}/ingress:${deployed.settings['IMAGE_TAG']}`;
  const started = await stack.docker(
    'run',
    '--detach',
    '--init',
    `--name=${name}`,
    `--network=${network}`,
    '--entrypoint=node',
    image,
    '--eval',
    script,
  );
  if (started.status !== 0) throw new Error(started.output);
  return async (): Promise<Record<string, number>> => {
    await stack.docker('stop', '--time=10', name);
    const { stdout, output } = await stack.docker('logs', name);
    await stack.docker('rm', '--force', name);
    try {
      return JSON.parse(stdout);
    } catch {
      throw new Error(`The ordinary client said: ${output}`);
    }
  };
}

test.for(Object.entries(SLOW))(
  `${CLIENTS} clients with slow %s are cut or bounded, and others are served`,
  async ([kind, [opening, byte]]) => {
    const stopOrdinary = await startOrdinaryClient();
    const sockets = new Set<net.Socket>();
    let most = 0;
    let trickle: NodeJS.Timeout | undefined;
    try {
      for (let started = 0; started < CLIENTS; started++) {
        const socket = connectRaw();
        sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
        socket.on('secureConnect', () => socket.write(opening));
        socket.resume();
        if (started % 50 === 49) await delay(100);
      }
      trickle = setInterval(() => {
        for (const socket of sockets) if (!socket.connecting) socket.write(byte);
      }, 1000);
      await delay(3000);
      most = sockets.size;
      expect(most).toBeGreaterThan(0);
      expect(most).toBeLessThanOrEqual(CONNECTIONS);
      const bound = kind === 'headers' ? 0 : REQUESTS;
      await until(`no more than ${bound} slow clients`, CUT_S, () =>
        Promise.resolve(sockets.size <= bound && { left: sockets.size }),
      );
    } finally {
      clearInterval(trickle);
      for (const socket of sockets) socket.destroy();
      const answers = await stopOrdinary();
      console.log(`slow ${kind}: at most ${most} of ${CLIENTS} at once; ordinary answers ${JSON.stringify(answers)}`);
      expect(Object.keys(answers)).toEqual(['200']);
      expect(answers['200']).toBeGreaterThan(20);
    }
  },
);
