import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';

type LogLine = { level: string; msg: string; port?: number; signal?: string; err?: { stack: string } };

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that serves, and what it says. */
async function start({ port = 0, drainMs = 0 } = {}) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'slow-app.ts'), `${port}`, `${drainMs}`]);
  children.push(child);
  const lines: LogLine[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  const exited = once(child, 'close').then(([code, signal]) => code ?? signal);
  const said = (msg: string) => lines.find((line) => line.msg === msg);
  const says = (msg: string) => expect.poll(() => said(msg), { timeout: 5000, interval: 10 }).toBeTruthy();
  return { child, lines, exited, said, says };
}

async function startListening(options = {}) {
  const process = await start(options);
  await process.says('listening');
  return { ...process, port: process.said('listening')!.port! };
}

async function get(port: number, path: string, agent?: Agent, headers = {}) {
  const [response] = await once(request({ port, path, headers, ...(agent ? { agent } : {}) }).end(), 'response');
  const text = (await response.toArray()).join('');
  return { status: response.statusCode, connection: response.headers.connection, body: text && JSON.parse(text) };
}

test.for(['SIGTERM', 'SIGINT'] as const)('%s ends it with 0, once what it held is let go of', async (signal) => {
  const { child, lines, exited } = await startListening();
  child.kill(signal);
  expect(await exited).toBe(0);
  expect(lines.map(({ msg }) => msg)).toEqual(['listening', 'closing', 'let go of what it held', 'closed']);
  expect(lines[1]!.signal).toBe(signal);
});

test('a request under way is answered, however its connection is kept', async () => {
  const { child, port, exited, says } = await startListening();
  const agent = new Agent({ keepAlive: true });
  const slow = get(port, '/slow?ms=500', agent);
  await says('asked');
  const signalled = performance.now();
  child.kill('SIGTERM');
  expect(await slow).toMatchObject({ status: 200, body: { waited: 500 } });
  expect(await exited).toBe(0);
  expect(performance.now() - signalled).toBeLessThan(2000);
});

test('while it drains it answers, is not ready, and ends connections', async () => {
  const { child, port, exited, says } = await startListening({ drainMs: 500 });
  const agent = new Agent({ keepAlive: true });
  expect(await get(port, '/slow', agent)).toMatchObject({ status: 200, connection: 'keep-alive' });
  child.kill('SIGTERM');
  await says('closing');
  expect(await get(port, '/slow', agent)).toMatchObject({ status: 200, connection: 'close' });
  expect(await get(port, '/slow')).toMatchObject({ status: 200, connection: 'close' });
  expect(await get(port, '/readyz')).toMatchObject({ status: 503 });
  expect(await exited).toBe(0);
  await expect(get(port, '/slow')).rejects.toThrow('ECONNREFUSED');
});

test('while it drains it hangs up once on a proxy that sends reads again, and on nothing else', async () => {
  const { child, port, exited, said, says } = await startListening({ drainMs: 1500 });
  const fromProxy = () => get(port, '/slow', undefined, { 'X-Retry-Reads': '1' });
  expect(await fromProxy()).toMatchObject({ status: 200 });
  child.kill('SIGTERM');
  await says('closing');
  expect(await get(port, '/slow')).toMatchObject({ status: 200 });
  const write = request({ port, path: '/slow', method: 'POST', headers: { 'X-Retry-Reads': '1' } }).end();
  expect((await once(write, 'response'))[0].statusCode).toBe(405);
  await expect(fromProxy()).rejects.toThrow('socket hang up');
  expect(await fromProxy()).toMatchObject({ status: 200, connection: 'close' });
  expect(await exited).toBe(0);
  expect(said('hanging up on a proxy, so that it turns to another replica')).toBeTruthy();
});

test('it goes on draining for a while when requests still come', async () => {
  const { child, port, exited, says } = await startListening({ drainMs: 500 });
  child.kill('SIGTERM');
  await says('closing');
  const began = performance.now();
  let refusedAfter: number | undefined;
  while (refusedAfter === undefined)
    await get(port, '/slow').catch((error) => {
      expect(error.code).toMatch(/^ECONN(REFUSED|RESET)$/);
      refusedAfter = performance.now() - began;
    });
  expect(refusedAfter).toBeGreaterThan(900);
  expect(await exited).toBe(0);
});

test('connections that nobody uses do not hold it up', async () => {
  const { child, port, exited } = await startListening();
  const agent = new Agent({ keepAlive: true });
  await get(port, '/slow', agent);
  const silent = connect(port, '127.0.0.1');
  await once(silent, 'connect');
  const signalled = performance.now();
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(performance.now() - signalled).toBeLessThan(2000);
  silent.destroy();
});

test('a request that takes too long is cut off, and the rest let go of', { timeout: 15_000 }, async () => {
  const { child, port, lines, exited, says } = await startListening();
  const slow = get(port, '/slow?ms=60000').catch((error) => error.message);
  await says('asked');
  child.kill('SIGTERM');
  expect(await slow).toBe('socket hang up');
  expect(await exited).toBe(0);
  expect(lines.map(({ msg }) => msg)).toContain('cutting off requests that were not answered within 6 s');
  expect(lines.at(-1)!.msg).toBe('closed');
});

test('a port that is taken is a sentence, and 1', async () => {
  const { port } = await startListening();
  const second = await start({ port });
  expect(await second.exited).toBe(1);
  expect(second.lines).toEqual([
    expect.objectContaining({ level: 'fatal', msg: `port ${port} is taken: stop what listens there or set PORT` }),
  ]);
});

test('an error that nobody caught is logged, what is held let go of, and it ends with 1', async () => {
  const { port, exited, said } = await startListening();
  const asked = get(port, '/fall').catch(() => undefined);
  expect(await exited).toBe(1);
  await asked;
  expect(said('closing because of an error')).toMatchObject({ level: 'fatal' });
  expect(said('closing because of an error')!.err!.stack).toMatch(/nobody catches this\n +at .*slow-app\.ts/);
  expect(said('closed')).toBeTruthy();
});

test('a second signal ends it at once', async () => {
  const { child, port, exited, says } = await startListening();
  const slow = get(port, '/slow?ms=60000').catch(() => undefined);
  await says('asked');
  child.kill('SIGINT');
  await says('closing');
  child.kill('SIGINT');
  expect(await exited).toBe(1);
  await slow;
});
