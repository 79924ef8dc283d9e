import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openComposeStack, succeeded, type ComposeStack } from '../compose/compose-stack.ts';
import { freshClone } from '../compose/fresh-clone.ts';
import { until } from '../compose/until.ts';
import { certificatesFor, type Certificates } from './certificates.ts';
import { ownIngress } from './own-ingress.ts';
import { startLoad } from './steady-load.ts';

// Two tracks of one stack behind the ingress of a machine: the proxies as they are deployed, and instead of the API one that
// answers with what it was asked, or slowly. One story, told in order.

const ECHO = `
services:
  # All of the load comes from one client.
  proxy: { environment: { PROXY_RATE_LIMIT: 10000r/s, PROXY_CLIENT_REQUESTS: 10000 } }
  roster-api:
    image: \${REGISTRY}/ingress:\${IMAGE_TAG}
    entrypoint: [node, --eval]
    command:
      - |
        require('node:http').createServer(async (req, res) => {
          if (req.url.endsWith('/slow')) {
            for (let second = 0; second < 8; second++) {
              res.write('still coming, ');
              await new Promise((resolve) => setTimeout(resolve, 1000));
            }
            return res.end('done');
          }
          res.setHeader('content-type', 'application/json');
          res.end(JSON.stringify({ stack: '\${STACK}', headers: req.headers }));
        }).listen(3000);
    environment: !reset null
    secrets: !reset null
    depends_on: !reset null
`;

const DOMAINS = { stable: 'stable.keelson.test', latest: 'latest.keelson.test' };
const YEAR_2 = 63_072_000;

const clone = freshClone();
let stable: ComposeStack;
let latest: ComposeStack;
const { httpPort, tlsPort, network, settings } = await ownIngress('keelson-e2e-tls');
let made: Certificates;

beforeAll(async () => {
  [stable, latest] = [await openTrack('stable'), await openTrack('latest')];
  writeFileSync(join(clone.folder, 'echo.yml'), ECHO);
  for (const [name, stack] of [
    ['stable', stable],
    ['latest', latest],
  ] as const)
    succeeded(await stack.run('env', `DOMAIN=${DOMAINS[name]}`, 'scripts/setup', name));
  succeeded(await stable.docker('buildx', 'bake', '--file=docker-bake.hcl', '--load', 'proxy', 'ingress'));
  for (const image of ['proxy', 'ingress'])
    succeeded(await stable.docker('tag', `${stable.project}/${image}:test`, `${latest.project}/${image}:test`));
  succeeded(await stable.run('scripts/ingress'));
  made = await certificatesFor(DOMAINS.stable, stable, clone.folder);
});
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  console.error((await stable.run('scripts/ingress', 'logs', '--tail=40')).output, await stable.account());
});
afterAll(async () => {
  await stable.run('scripts/ingress', 'down', '--volumes', '--timeout=3');
  for (const stack of [stable, latest]) await stack.remove();
  await stable.docker('network', 'rm', network);
  clone.remove();
});

const openTrack = (name: keyof typeof DOMAINS) =>
  openComposeStack(clone.folder, `keelson-e2e-${name}`, {
    STACK: name,
    IMAGE_TAG: 'test',
    ROSTER_API_REPLICAS: '1',
    COMPOSE_ENV_FILES: `.env.${name}`,
    COMPOSE_FILE: 'docker-compose.yml:docker-compose.prod.yml:echo.yml',
    ...settings,
  });

type Asked = { path?: string; headers?: Record<string, string>; ca?: string };

/** One request on a connection of its own. */
async function ask(domain: string, { path = '/', headers, ca }: Asked = {}) {
  const own = { servername: domain, headers: { host: `${domain}:${tlsPort}`, ...headers }, agent: false as const };
  const trusted = ca ?? (await certificateOf(domain === DOMAINS.latest ? latest : stable));
  const request = https.get({ host: '127.0.0.1', port: tlsPort, path, ca: trusted, ...own });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return { status: response.statusCode, headers: response.headers, text: await text(response) };
}

const echo = async (domain: string, asked: Asked = {}) =>
  JSON.parse((await ask(domain, { path: '/api/v1/workers', ...asked })).text);

/** Greets with TLS and says how it went. */
function greet(options: tls.ConnectionOptions): Promise<{ fingerprint: string; protocol: string; cipher: string }> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port: tlsPort, rejectUnauthorized: false, ...options });
    socket.on('secureConnect', () => {
      const { fingerprint256: fingerprint } = socket.getPeerCertificate();
      resolve({ fingerprint, protocol: socket.getProtocol()!, cipher: socket.getCipher().name });
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

const inProxy = (stack: ComposeStack, ...command: string[]) => stack.compose('exec', '-T', 'proxy', ...command);
const certificateOf = async (stack: ComposeStack) =>
  succeeded(await inProxy(stack, 'cat', '/certificates/current/fullchain.pem'));

/** What the ingress has said of connections. */
const passages = async (): Promise<{ client: string; host?: string; proxy?: string; tried?: number }[]> =>
  succeeded(await stable.run('scripts/ingress', 'logs', '--no-log-prefix', '--no-color'))
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));

describe('without a certificate', () => {
  test('a proxy does not start, and says what to do', async () => {
    const { status, output } = await stable.compose('run', '--rm', '--no-deps', '-T', 'proxy');
    expect(status).toBe(78);
    expect(output).toContain(
      'there is no certificate: scripts/certificate installs one, or makes one with --self-signed',
    );
  });

  test('scripts/certificate says that there is none', async () => {
    const { status, output } = await stable.run('scripts/certificate');
    expect(status).toBe(1);
    expect(output).toContain('There is no certificate yet');
  });
});

describe('scripts/certificate', () => {
  test('--self-signed makes one that the proxies of the stack can read, and nobody else', async () => {
    for (const stack of [stable, latest]) {
      const said = succeeded(await stack.run('scripts/certificate', '--self-signed'));
      expect(said).toContain('No proxy runs');
    }
    const files = "cd /certificates/current/ && stat --format '%n %a %u' . *";
    const run = await stable.compose('run', '--rm', '--no-deps', '-T', '--entrypoint=sh', 'proxy', '-c', files);
    expect(succeeded(run)).toBe('. 755 0\nfullchain.pem 444 0\nprivkey.pem 400 101');
    for (const stack of [stable, latest]) await stack.up('--no-deps', 'roster-api', 'proxy');
  });

  test('says what is installed, and until when it is valid', async () => {
    const said = succeeded(await stable.run('scripts/certificate'));
    expect(said).toContain(`DNS:${DOMAINS.stable}`);
    const days = (Date.parse(/^notAfter=(.*)$/m.exec(said)![1]!) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(89);
    expect(days).toBeLessThan(91);
  });

  test.for([
    ['a key of another certificate', 'valid', 'other', 'The key is not that of the certificate'],
    ['an expired certificate', 'expired', 'expired', 'The certificate has expired: notAfter=Feb  1 00:00:00 2020 GMT'],
    ['a certificate for later', 'later', 'later', 'certificate is not yet valid'],
    ['a certificate for another host', 'other', 'other', 'not for stable.keelson.test: DNS:other.keelson.test'],
    ['a certificate for clients', 'client', 'client', 'The certificate is of no use to a server'],
    ['the files the wrong way round', 'valid.key', 'valid.pem', 'The first file holds no certificate'],
    ['a key with a passphrase', 'locked', 'locked', 'The second file holds no private key in PEM form that needs no'],
    ['a file that is not there', 'nothing', 'valid', 'nothing.pem cannot be read'],
  ] as const)('refuses %s, and changes nothing', async ([, certificate, key, reason]) => {
    const before = await certificateOf(stable);
    const file = (name: string, ending: string) =>
      join('certificates', name.includes('.') ? name : `${name}.${ending}`);
    const run = await stable.run('scripts/certificate', file(certificate, 'pem'), file(key, 'key'));
    expect(run.status).toBe(1);
    expect(run.output).toContain(reason);
    expect(await certificateOf(stable)).toBe(before);
    expect(succeeded(await inProxy(stable, 'sh', '-c', 'ls -d /certificates/*/ | wc -l'))).toBe('2');
  });

  test.for([['--nonsense'], ['one.pem'], ['a', 'b', 'c']])('does not know what %j is', async (args) => {
    const { status, output } = await stable.run('scripts/certificate', ...args);
    expect(status).toBe(64);
    expect(output).toContain('Usage: scripts/certificate');
  });
});

describe('through the ingress', () => {
  test('each track answers for its own domain, with its own certificate', async () => {
    for (const name of ['stable', 'latest'] as const)
      expect(await echo(DOMAINS[name])).toMatchObject({
        stack: name,
        headers: { host: `${DOMAINS[name]}:${tlsPort}`, 'x-forwarded-proto': 'https' },
      });
    await expect(ask(DOMAINS.latest, { ca: await certificateOf(stable) })).rejects.toThrow(/self.signed certificate/);
  });

  test('browsers are told to come with TLS from now on, once in each answer', async () => {
    for (const [path, status] of [
      ['/', 200],
      ['/api/v1/workers', 200],
      ['/nowhere', 404],
    ] as const) {
      const { headers, ...answer } = await ask(DOMAINS.stable, { path });
      expect([path, answer.status]).toEqual([path, status]);
      expect(headers['strict-transport-security']).toBe(`max-age=${YEAR_2}`);
    }
  });

  test('whoever comes without TLS is sent to it', async () => {
    const headers = { host: `${DOMAINS.stable}:${httpPort}` };
    const request = http.get({ host: '127.0.0.1', port: httpPort, path: '/a/b?c=d', headers });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(301);
    expect(response.headers.location).toBe(`https://${DOMAINS.stable}:${tlsPort}/a/b?c=d`);
  });

  test('HTTP/2 is spoken, and a connection that a browser would use for another host too is refused for that', async () => {
    const session = http2.connect(`https://${DOMAINS.stable}:${tlsPort}`, {
      ca: await certificateOf(stable),
      createConnection: () =>
        tls.connect({
          host: '127.0.0.1',
          port: tlsPort,
          servername: DOMAINS.stable,
          ALPNProtocols: ['h2'],
          rejectUnauthorized: false,
        }),
    });
    const get = async (authority: string) => {
      const stream = session.request({ ':path': '/api/v1/workers', ':authority': authority });
      const [headers] = await once(stream, 'response');
      return { status: headers[':status'], body: JSON.parse(await text(stream)) };
    };
    expect(await get(DOMAINS.stable)).toMatchObject({ status: 200, body: { stack: 'stable' } });
    expect(await get(DOMAINS.latest)).toMatchObject({
      status: 421,
      body: { title: 'Misdirected Request', detail: 'This connection is for another host.' },
    });
    session.close();
  });

  test.for([
    ['TLS 1.3', { minVersion: 'TLSv1.3' }, 'TLSv1.3', 'TLS_AES_256_GCM_SHA384'],
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }, 'TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ] as const)('%s is spoken, as Mozilla has it', async ([, options, protocol, cipher]) => {
    expect(await greet({ servername: DOMAINS.stable, ...options })).toMatchObject({ protocol, cipher });
  });

  test.for([
    ['TLS 1.1', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }, 'ALERT_PROTOCOL_VERSION'],
    ['CBC', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }, 'HANDSHAKE_FAILURE'],
  ] as const)('%s is not', async ([, options, code]) => {
    await expect(greet({ servername: DOMAINS.stable, ...options })).rejects.toMatchObject({
      code: expect.stringContaining(code),
    });
  });

  test.for([['other.keelson.test'], ['localhost'], ['roster-api'], ['']])(
    'there is nobody for "%s"',
    async ([name]) => {
      await expect(greet({ servername: name! })).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
    },
  );

  test('services learn who the client is, and believe nobody else', async () => {
    const spoofed = {
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'gopher',
      'x-forwarded-host': 'evil.example.com',
      forwarded: 'for=6.6.6.6;host=evil.example.com',
      'x-forwarded-port': '1',
      'x-forwarded-prefix': '/evil',
      'x-real-ip': '6.6.6.6',
    };
    const { headers } = await echo(DOMAINS.stable, { headers: spoofed });
    const [passage] = (await passages()).filter(({ host }) => host === DOMAINS.stable).slice(-1);
    expect(headers).toMatchObject({
      'x-forwarded-for': passage!.client,
      'x-forwarded-proto': 'https',
      'x-forwarded-host': `${DOMAINS.stable}:${tlsPort}`,
    });
    for (const name of ['forwarded', 'x-forwarded-port', 'x-forwarded-prefix', 'x-real-ip'])
      expect(headers).not.toHaveProperty(name);

    // As the ingress says it for one that comes from elsewhere.
    const asIngress = ['--connect-to', `::${DOMAINS.stable}.internal:8443`, `https://${DOMAINS.stable}/api/v1/workers`];
    const said = ['curl', '--silent', '--insecure', '--haproxy-protocol', '--haproxy-clientip', '203.0.113.7'];
    const heard = JSON.parse(succeeded(await inProxy(stable, ...said, ...asIngress)));
    expect(heard.headers['x-forwarded-for']).toBe('203.0.113.7');
    expect((await inProxy(stable, 'curl', '--silent', '--insecure', ...asIngress)).status).not.toBe(0);
  });

  test('a certificate authority sees what was put there for it', async () => {
    const volume = `${settings.INGRESS_PROJECT}_challenges:/challenges`;
    const put = ['sh', `${stable.project}/proxy:test`, '-c', 'echo answer >/challenges/token'];
    succeeded(await stable.docker('run', '--rm', '--user=0', `--volume=${volume}`, '--entrypoint', ...put));
    const url = `http://127.0.0.1:${httpPort}/.well-known/acme-challenge/token`;
    expect(await (await fetch(url)).text()).toBe('answer\n');
  });
});

describe('under 300 requests a second', () => {
  const load = async () =>
    startLoad({
      host: DOMAINS.stable,
      port: tlsPort,
      ca: [await certificateOf(stable), made.authority],
      rate: 300,
      freshEvery: 10,
    });

  test('a renewed certificate is taken up, and no request fails', async () => {
    const old = (await greet({ servername: DOMAINS.stable })).fingerprint;
    const running = await load();
    await running.more(600);
    const said = succeeded(await stable.run('scripts/certificate', 'certificates/valid.pem', 'certificates/valid.key'));
    const renewed = Date.now();
    await running.more(900);
    const { failures, connections } = await running.stop();
    expect(failures.slice(0, 5)).toEqual([]);
    expect(said).toMatch(/^served by .*proxy-1$/m);
    const given = (when: (at: number) => boolean) =>
      new Set(connections.filter(({ at }) => when(at)).map(({ fingerprint }) => fingerprint));
    expect(given((at) => at >= renewed)).toEqual(new Set([made.fingerprint]));
    expect(given(() => true)).toEqual(new Set([old, made.fingerprint]));
    expect(await echo(DOMAINS.stable, { ca: made.authority })).toMatchObject({ stack: 'stable' });
  });

  test('a client is told to leave a connection that it has not used, before a proxy that ends closes it', async () => {
    const agent = new https.Agent({ keepAlive: true });
    const own = { host: '127.0.0.1', port: tlsPort, servername: DOMAINS.stable, headers: { host: DOMAINS.stable } };
    const [response] = (await once(https.get({ ...own, ca: made.authority, agent }), 'response')) as [
      http.IncomingMessage,
    ];
    expect(response.headers['keep-alive']).toBe('timeout=4');
    agent.destroy();
  });

  test('a proxy is replaced, the new one before the old one, and no request fails', async () => {
    const [old] = await stable.containers('proxy');
    const running = await load();
    await running.more(300);
    await stable.up('--no-deps', '--no-recreate', '--scale=proxy=2', 'proxy');
    const [first, second] = (await stable.containers('proxy')).map(addressIn);
    expect(first).not.toBe(second);
    await running.more(600);
    // Half of these have the old one.
    const downloads = Array.from({ length: 8 }, () => ask(DOMAINS.stable, { path: '/api/v1/exports/slow' }));
    await running.more(300);
    succeeded(await stable.docker('stop', old!.Id));
    for (const { text } of await Promise.all(downloads)) expect(text).toMatch(/^(still coming, ){8}done$/);
    await running.more(300);
    succeeded(await stable.docker('rm', old!.Id));
    await running.more(600);
    const { failures } = await running.stop();
    expect(failures.slice(0, 5)).toEqual([]);
    const used = new Set((await passages()).map(({ proxy }) => proxy));
    expect([first, second].every((address) => used.has(address))).toBe(true);
  });

  test('the proxy that is gone is not even tried', async () => {
    await until('the first one to answer', 5, async () => {
      await ask(DOMAINS.stable, { ca: made.authority });
      return (await passages()).slice(-1).every(({ tried }) => tried === 1);
    });
  });
});

const addressIn = (container: { NetworkSettings: object }) =>
  (container.NetworkSettings as { Networks: Record<string, { IPAddress: string }> }).Networks[network]!.IPAddress;
