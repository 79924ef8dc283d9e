// Asks the proxies of a stack, in a container beside them: node ask.ts HOST. Goes on until SIGTERM, then says as JSON how
// often it asked and what failed. Where several addresses are known it takes the next one if the first refuses.
import { resolve4 } from 'node:dns/promises';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const host = process.argv[2]!;
const WORKERS = '/api/v1/workers';
const failures: string[] = [];
let asked = 0;
let ended = false;
process.on('SIGTERM', () => (ended = true));

function ask(address: string, method: string, body: string | undefined, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host, ...(body ? { 'content-type': 'application/json' } : {}) };
    const path = body ? WORKERS : `${WORKERS}?limit=1`;
    const asking = request({ host: address, port: 8080, method, path, agent, headers }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode!));
      answer.on('error', reject);
    });
    asking.on('error', reject).setTimeout(10_000, () => asking.destroy(new Error('no answer within 10 s')));
    asking.on('socket', (socket) => {
      if (!socket.connecting) return;
      const late = setTimeout(() => asking.destroy(Object.assign(new Error(), { code: 'ECONNREFUSED' })), 1000);
      socket.once('close', () => clearTimeout(late)).once('connect', () => clearTimeout(late));
    });
    asking.end(body);
  });
}

async function askOnce(agent: Agent, n: number) {
  const worker = { name: 'Asked', role: 'asked', email: `${crypto.randomUUID()}@example.com`, hiredOn: '2024-02-29' };
  const [method, body] = n % 5 === 0 ? ['POST', JSON.stringify(worker)] : ['GET', undefined];
  let failure = 'has no address';
  for (const address of await resolve4(host)) {
    try {
      const status = await ask(address, method!, body, agent);
      return status < 300 ? undefined : `${method} ${status}`;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      failure = `${method} ${code ?? message}`;
      if (!['ECONNREFUSED', 'EHOSTUNREACH'].includes(code ?? '')) return failure;
    }
  }
  return failure;
}

async function goOn(lane: number) {
  const agent = new Agent({ keepAlive: lane % 2 === 0, maxSockets: 1 });
  for (let n = lane; !ended; n += 1) {
    asked += 1;
    const failure = await askOnce(agent, n).catch((error) => String(error));
    if (failure) failures.push(`${new Date().toISOString()} ${failure}`);
    await delay(20);
  }
}

await Promise.all([0, 1, 2, 3].map(goOn));
console.log(JSON.stringify({ asked, failures }));
process.exit();
