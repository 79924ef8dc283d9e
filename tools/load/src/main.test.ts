import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readLedger } from './ledger.ts';
import { startLoad } from './start.ts';
import { toyRoster } from './toy-roster.ts';
import { verify } from './verify.ts';

let folder: string;
let ledger: string;
const toys: { close: () => void }[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-load-'));
  ledger = join(folder, 'ledger');
});
afterEach(() => {
  for (const toy of toys.splice(0)) toy.close();
  rmSync(folder, { recursive: true });
});

async function startToy(options?: Parameters<typeof toyRoster>[0]) {
  const toy = await toyRoster(options);
  toys.push(toy);
  return toy;
}

function command(...args: string[]) {
  // Of the environment nothing: Node has warnings about some of what test runners set.
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], { env: {} });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => (output.stdout += text));
  const lines = createInterface({ input: child.stderr });
  lines.on('line', (line) => (output.stderr += `${line}\n`));
  return { child, lines, ended: once(child, 'close').then(([status]) => ({ status, ...output })) };
}

describe('the command', { timeout: 60_000 }, () => {
  test('runs until SIGTERM and prints the report', async () => {
    const toy = await startToy();
    const { child, lines, ended } = command('run', `--url=${toy.url}`, `--ledger=${ledger}`, '--rate=50');
    await once(lines, 'line');
    child.kill('SIGTERM');
    const { status, stdout, stderr } = await ended;
    const report = JSON.parse(stdout);
    expect(status, stderr).toBe(0);
    expect(report).toMatchObject({ url: toy.url, failed: 0 });
    expect(readLedger(ledger).run).toBe(report.run);
  });

  test('runs for a time, ends with 1 when a request has failed, and so does verify when a write is lost', async () => {
    const toy = await startToy();
    toy.misbehave(({ method }) => (method === 'POST' ? { does: 'lose' } : undefined));
    const ran = await command('run', `--url=${toy.url}`, `--ledger=${ledger}`, '--rate=100', '--for=0.5').ended;
    expect(ran.status, ran.stderr).toBe(1);
    expect(JSON.parse(ran.stdout).failures.kinds.contradiction).toBeGreaterThan(0);
    const verified = await command('verify', `--url=${toy.url}`, `--ledger=${ledger}`).ended;
    expect(verified.status, verified.stderr).toBe(1);
    expect(JSON.parse(verified.stdout).lost.count).toBeGreaterThan(0);
  });

  test.for([
    [64, [], 'The command is run or verify'],
    [2, ['run', '--url=ftp://a', '--ledger=l'], 'the URL must be an http or https address'],
    [2, ['run', '--url=http://a', '--ledger=l', '--connect=b'], 'the address to connect to must be HOST:PORT'],
    [2, ['run', '--url=http://a', '--ledger=/nowhere/l'], 'ENOENT'],
    [2, ['verify', '--url=http://a', '--ledger=/dev/null'], '/dev/null is no ledger: its first line names no run'],
  ] as const)('ends with %i and a sentence after %j', async ([expected, args, sentence]) => {
    const { status, stdout, stderr } = await command(...args).ended;
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(stderr).toContain(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

describe('a load in a process of its own', { timeout: 60_000 }, () => {
  test('has begun when it is there, and reports when it is stopped', async () => {
    const toy = await startToy();
    const load = await startLoad({ url: toy.url, ledger, rate: 100, atLeast: 100 });
    expect(toy.seen.requests).toBeGreaterThan(0);
    const report = await load.stop();
    expect(report).toMatchObject({ failed: 0 });
    expect(report.requests).toBeGreaterThanOrEqual(100);
    expect(toy.seen.requests).toBe(report.requests);
  });

  test('says why it cannot begin', async () => {
    const toy = await startToy();
    await expect(startLoad({ url: toy.url, ledger: '/nowhere/ledger', rate: 10 })).rejects.toThrow(
      /ended with 2.*ENOENT/s,
    );
  });

  test('ends when the process that started it does', async () => {
    const toy = await startToy();
    const source = `
      import { startLoad } from ${JSON.stringify(join(import.meta.dirname, 'start.ts'))};
      await startLoad(${JSON.stringify({ url: toy.url, ledger, rate: 100 })});
      process.kill(process.pid, 'SIGKILL');`;
    await once(spawn(process.execPath, ['--input-type=module', '--eval', source]), 'close');
    let before = -1;
    await expect
      .poll(() => [before, (before = toy.seen.requests)], { timeout: 30_000, interval: 300 })
      .toSatisfy(([earlier, now]) => earlier === now);
  });
});

const openssl = (() => {
  try {
    execFileSync('openssl', ['version']);
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!openssl)('over TLS it trusts the certificate it is given, for a domain that no DNS knows', async () => {
  const [key, ca] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=roster.test', '-addext', 'subjectAltName=DNS:roster.test', '-days', '2'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', ca, ...subject], { stdio: 'ignore' });
  const toy = await startToy({ tls: { key: readFileSync(key), cert: readFileSync(ca) } });
  const target = { url: 'https://roster.test:8443', connect: `127.0.0.1:${toy.port}`, ca };
  const load = await startLoad({ ...target, ledger, rate: 100, atLeast: 100 });
  expect(await load.stop()).toMatchObject({ failed: 0 });
  expect([...toy.seen.hosts]).toEqual(['roster.test:8443']);
  expect(await verify({ ...target, ledger })).toMatchObject({ lost: { count: 0 } });
  await expect(verify({ ...target, ca: undefined, ledger })).rejects.toThrow(/self-signed/i);
  await expect(verify({ ...target, url: 'https://other.test', ledger })).rejects.toThrow(/altnames/);
});
