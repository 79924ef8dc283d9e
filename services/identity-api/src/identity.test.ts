import { createTestDatabase } from '@keelson/postgres/testing';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { ADMINISTRATOR, CLIENT, SECRET, startApi } from './checked-api.ts';
import { hashQueue, hashSecret, inTurn, isPassword } from './passwords.ts';
import { rotateSigningKeys, signingKey } from './signing-keys.ts';

const database = await createTestDatabase();
const api = await startApi(database.url);
const { call, db, issuer } = api;
afterAll(async () => {
  await api.stop();
  await database.drop();
});
expect((await call('GET', '/readyz')).status).toBe(200);
beforeEach(async () => {
  await db.signInAttempts.deleteMany();
});

const { password } = ADMINISTRATOR;
const signIn = (more = {}) =>
  call('POST', '/api/v1/sessions', { json: { email: 'admin@example.com', password, ...more } });
const refresh = (refreshToken: string) => call('POST', '/api/v1/sessions/refresh', { json: { refreshToken } });
const signOut = (refreshToken: string) => call('POST', '/api/v1/sessions/end', { json: { refreshToken } });
const keys = async () => (await call('GET', '/api/v1/jwks.json')).body.keys;
const verified = async (token: string) =>
  (
    await jwtVerify(token, createLocalJWKSet({ keys: await keys() }), {
      issuer: issuer.settings.AUTH_ISSUER,
      audience: issuer.settings.AUTH_AUDIENCE,
      algorithms: ['EdDSA'],
    })
  ).payload;

describe('signing in', () => {
  test('the first administrator gets a token of five minutes that the published keys verify', async () => {
    const { status, headers, body } = await signIn();
    expect([status, headers['cache-control']]).toEqual([201, 'no-store']);
    expect(body).toMatchObject({ tokenType: 'Bearer', expiresIn: 300, scope: '*' });
    const { sub, scope, exp, iat } = await verified(body.accessToken);
    expect([sub, scope, exp! - iat!]).toEqual([(await db.user.findFirstOrThrow()).id, '*', 300]);
  });

  test('may ask for less', async () => {
    const { body } = await signIn({ scope: 'workers:read' });
    expect((await verified(body.accessToken))['scope']).toBe('workers:read');
  });

  test.each(['', 'workers', 'Workers:read', '2:read', 'workers:read  users:read', ' *'])(
    'gets nothing for %j, which is no scope',
    async (scope) => {
      expect((await signIn({ scope })).status).toBe(422);
    },
  );

  test('a wrong password and an unknown address are the same', async () => {
    const wrong = await signIn({ password: 'wrong' });
    const unknown = await signIn({ email: 'nobody@example.com' });
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    expect(wrong.body.detail).toBe(unknown.body.detail);
  });

  test('after five mistakes each one costs twice the time, known account or not, and all at once too', async () => {
    for (const email of ['admin@example.com', 'nobody@example.com']) {
      const tries = await Promise.all(Array.from({ length: 12 }, () => signIn({ email, password: 'wrong' })));
      expect(tries.map(({ status }) => status).sort()).toEqual([...Array(6).fill(401), ...Array(6).fill(429)]);
      const { status, headers } = await signIn({ email });
      expect([status, headers['retry-after']]).toEqual([429, '2']);
    }
    await db.signInAttempts.updateMany({ data: { pausedUntil: new Date() } });
    await signIn({ password: 'wrong' });
    expect((await signIn()).headers['retry-after']).toBe('4');
    await db.signInAttempts.updateMany({ data: { pausedUntil: new Date() } });
    expect((await signIn()).status).toBe(201);
    expect((await signIn({ password: 'wrong' })).status).toBe(401);
    expect((await signIn()).status).toBe(201);
  });
});

test('who comes when too many wait already is told to come again, which is no mistake', async () => {
  const { promise, resolve } = Promise.withResolvers();
  const waiting = Array.from({ length: 52 }, () => inTurn(() => promise));
  const late = await Promise.all(Array.from({ length: 7 }, () => signIn()));
  expect(late.map(({ status, headers }) => [status, headers['retry-after']])).toEqual(Array(7).fill([503, '2']));
  resolve(undefined);
  await Promise.all(waiting);
  expect((await signIn({ password: 'wrong' })).status).toBe(401);
  expect((await signIn({ email: 'nobody@example.com' })).status).toBe(401);
  expect((await signIn()).status).toBe(201);
});

describe('a refresh token', () => {
  test('is good once, for a session of the same scopes', async () => {
    const { body } = await signIn({ scope: 'workers:read' });
    const next = await refresh(body.refreshToken);
    expect([next.status, next.body.scope]).toEqual([201, 'workers:read']);
    expect((await verified(next.body.accessToken))['scope']).toBe('workers:read');
    expect((await refresh(next.body.refreshToken)).status).toBe(201);
  });

  test('that comes twice ends the session, and no other', async () => {
    const [stolen, other] = [(await signIn()).body, (await signIn()).body];
    const { body: next } = await refresh(stolen.refreshToken);
    expect((await refresh(stolen.refreshToken)).status).toBe(401);
    expect((await refresh(next.refreshToken)).status).toBe(401);
    expect((await refresh(other.refreshToken)).status).toBe(201);
  });

  test('that comes many times at once is good for one session, and then for none', async () => {
    const { body } = await signIn();
    const before = api.lines.length;
    const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(body.refreshToken)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(401)]);
    const { body: renewed } = answers.find(({ status }) => status === 201)!;
    expect((await refresh(renewed.refreshToken)).status).toBe(401);
    expect(api.lines.slice(before).filter(({ msg }) => msg.includes('came twice'))).toHaveLength(1);
  });

  test('that is made up for a session by somebody who knows its name ends it', async () => {
    const { body } = await signIn();
    expect((await refresh(`${body.refreshToken.slice(0, -43)}${'x'.repeat(43)}`)).status).toBe(401);
    expect((await refresh(body.refreshToken)).status).toBe(401);
  });

  test('is nothing after signing out, nor after 30 days, nor when it was made up', async () => {
    const { body } = await signIn();
    expect((await signOut(body.refreshToken)).status).toBe(204);
    expect((await refresh(body.refreshToken)).status).toBe(401);
    const { body: older } = await signIn();
    await db.refreshToken.updateMany({ data: { expiresAt: new Date() } });
    expect((await refresh(older.refreshToken)).status).toBe(401);
    expect(api.lines.at(-2)?.msg).not.toContain('came twice');
    const secret = 'x'.repeat(43);
    for (const madeUp of ['made-up', secret, `${crypto.randomUUID()}.${secret}`, `${'0'.repeat(36)}.${secret}`]) {
      expect((await refresh(madeUp)).status).toBe(401);
      expect((await signOut(madeUp)).status).toBe(204);
    }
  });

  test('is nothing after signing out at the moment of a renewal', async () => {
    await db.refreshToken.deleteMany();
    for (let round = 0; round < 8; round++) {
      const { refreshToken } = (await signIn()).body;
      await Promise.all([refresh(refreshToken), signOut(refreshToken)]);
    }
    expect(await db.refreshToken.count()).toBe(0);
  });

  test('has a row for each session, however often it was renewed', async () => {
    await db.refreshToken.deleteMany();
    let { body } = await signIn();
    for (let round = 0; round < 3; round++) ({ body } = await refresh(body.refreshToken));
    expect(await db.refreshToken.count()).toBe(1);
  });

  test('of the oldest session is nothing after the hundredth that begins after it', async () => {
    await db.refreshToken.deleteMany();
    const [oldest, older] = [(await signIn()).body, (await signIn()).body];
    const { userId, scopes, expiresAt } = await db.refreshToken.findFirstOrThrow({ orderBy: { expiresAt: 'desc' } });
    const others = Array.from({ length: 98 }, (_, index) => ({ hash: `${index}`, family: crypto.randomUUID() }));
    await db.refreshToken.createMany({ data: others.map((other) => ({ ...other, userId, scopes, expiresAt })) });
    const { body } = await signIn();
    expect(await db.refreshToken.count()).toBe(100);
    const tokens = [oldest, older, body].map(({ refreshToken }) => refreshToken);
    expect((await Promise.all(tokens.map(refresh))).map(({ status }) => status)).toEqual([401, 201, 201]);
  });

  test('that has expired is cleared away when somebody signs in', async () => {
    await signIn();
    await db.refreshToken.updateMany({ data: { expiresAt: new Date(Date.now() - 1) } });
    await signIn();
    expect(await db.refreshToken.count()).toBe(1);
  });
});

describe('a machine', () => {
  const grant = (body: string, headers = {}) =>
    call('POST', '/api/v1/token', {
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });
  const basic = (id: string, secret: string) => ({
    authorization: `Basic ${Buffer.from([id, secret].map(encodeURIComponent).join(':')).toString('base64')}`,
  });

  test('gets a token for its credentials, in the header or in the form', async () => {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
    });
    for (const { status, body } of [
      await grant('grant_type=client_credentials', basic(CLIENT.id, CLIENT.secret)),
      await grant(String(form), { authorization: '' }),
    ]) {
      expect([status, body.token_type, body.expires_in]).toEqual([200, 'Bearer', 300]);
      const claims = await verified(body.access_token);
      expect(claims).toMatchObject({ sub: CLIENT.id, client_id: CLIENT.id, scope: CLIENT.scopes.join(' ') });
    }
  });

  const good = 'grant_type=client_credentials';
  test.each([
    ['', 'invalid_request'],
    ['grant_type=&scope=workers:read', 'invalid_request'],
    ['grant_type=password', 'unsupported_grant_type'],
    [`${good}&scope=workers`, 'invalid_scope'],
    [`${good}&scope=workers:write`, 'invalid_scope'],
    [`${good}&scope=*%00`, 'invalid_scope'],
  ])('is told that %j is %s, as an OAuth client understands it', async (body, error) => {
    const answer = await grant(body, basic(CLIENT.id, CLIENT.secret));
    expect([answer.status, answer.body.error]).toEqual([400, error]);
  });

  test('may leave fields empty, and send a space as +, as forms do', async () => {
    expect((await grant(`${good}&scope=&client_id=`, basic(CLIENT.id, CLIENT.secret))).body.scope).toBe(
      CLIENT.scopes.join(' '),
    );
    const encoded = `${CLIENT.id}:${CLIENT.secret.replaceAll(' ', '+')}`;
    const authorization = `Basic ${Buffer.from(encoded).toString('base64')}`;
    expect((await grant(good, { authorization })).status).toBe(200);
  });

  test('gets none with another secret, or none', async () => {
    const login = basic(CLIENT.id, CLIENT.secret);
    for (const { status, body, headers } of [
      await grant(good, basic(CLIENT.id, 'wrong')),
      await grant(good, basic('nobody', CLIENT.secret)),
      await grant(good, basic('\0', CLIENT.secret)),
      await grant(`${good}&client_id=%00`),
      await grant(`${good}&client_id=${CLIENT.id}`),
      await grant(good, { authorization: 'Basic %%%' }),
    ]) {
      const expected = [401, 'invalid_client', 'Basic realm="clients"'];
      expect([status, body.error, headers['www-authenticate']]).toEqual(expected);
    }
    expect((await call('POST', '/api/v1/token', { json: {}, headers: login })).status).toBe(415);
  });
});

describe('users', () => {
  const ada = { email: 'Ada@Example.com', password: 'a long enough one', scopes: ['workers:read'] };
  const authorized = async (scope: string) => ({ authorization: `Bearer ${await issuer.token({ scope })}` });
  beforeEach(async () => void (await db.user.deleteMany({ where: { email: 'ada@example.com' } })));

  test('are added, listed, changed and removed, and sign in meanwhile', async () => {
    const { status, body: added, text } = await call('POST', '/api/v1/users', { json: ada });
    expect([status, added.email]).toEqual([201, 'ada@example.com']);
    expect(text).not.toContain('argon2');
    const session = await signIn({ email: 'ADA@example.com', password: ada.password });
    expect(session.body.scope).toBe('workers:read');
    const { items, nextCursor } = (await call('GET', '/api/v1/users?limit=1')).body;
    const { items: more } = (await call('GET', `/api/v1/users?limit=1&cursor=${nextCursor}`)).body;
    expect([...items, ...more].map(({ email }) => email)).toEqual(['admin@example.com', 'ada@example.com']);
    const place = `/api/v1/users/${added.id}`;
    const changed = await call('PATCH', place, { json: { password: 'another long one', scopes: [] } });
    expect([changed.status, changed.body.scopes]).toEqual([200, []]);
    expect((await refresh(session.body.refreshToken)).status).toBe(401);
    expect((await signIn({ email: ada.email, password: 'another long one' })).status).toBe(201);
    expect((await call('DELETE', place)).status).toBe(204);
    expect((await call('DELETE', place)).status).toBe(404);
    expect((await call('PATCH', place, { json: { scopes: [] } })).status).toBe(404);
  });

  test('are not changed, and their sessions go on, where a change says nothing', async () => {
    const { body: added } = await call('POST', '/api/v1/users', { json: ada });
    const { body: session } = await signIn({ email: ada.email, password: ada.password });
    for (const sent of [{}, { json: {} }, { json: { password: undefined } }]) {
      const { status, body } = await call('PATCH', `/api/v1/users/${added.id}`, sent);
      const errors = [{ in: 'body', name: '', detail: 'must have a password, scopes or both' }];
      expect([status, body.errors]).toEqual([422, errors]);
    }
    expect((await refresh(session.refreshToken)).status).toBe(201);
    const { paths } = (await call('GET', '/api/v1/openapi/identity-api.json')).body;
    const { required, content } = paths['/api/v1/users/{id}'].patch.requestBody;
    expect([required, content['application/json'].schema.minProperties]).toEqual([true, 1]);
  });

  test('have an address of their own, and a password that is long enough', async () => {
    await call('POST', '/api/v1/users', { json: ada });
    expect((await call('POST', '/api/v1/users', { json: ada })).status).toBe(409);
    expect((await call('POST', '/api/v1/users', { json: { ...ada, password: 'short' } })).status).toBe(422);
  });

  test('change their own password, which ends their sessions', async () => {
    await call('POST', '/api/v1/users', { json: ada });
    const { email, password } = ada;
    const change = (json: object) => call('POST', '/api/v1/sessions/password', { json: { email, password, ...json } });
    const newPassword = 'another long one';
    const session = await signIn({ email, password });
    expect((await change({ newPassword, password: 'wrong' })).status).toBe(401);
    expect((await change({ newPassword: 'short' })).status).toBe(422);
    expect((await change({ newPassword })).status).toBe(204);
    expect((await refresh(session.body.refreshToken)).status).toBe(401);
    expect((await change({ newPassword })).status).toBe(401);
    expect((await signIn({ email, password: newPassword })).status).toBe(201);
    await Promise.all(Array.from({ length: 6 }, () => change({ newPassword: 'a third long one' })));
    expect((await change({ newPassword: 'a third long one', password: newPassword })).status).toBe(429);
  });

  test('who may do more are out of reach of those who may do less', async () => {
    const { body: added } = await call('POST', '/api/v1/users', { json: ada });
    const place = `/api/v1/users/${added.id}`;
    const json = { password: 'another long one' };
    const headers = await authorized('users:write');
    expect((await call('PATCH', place, { json, headers })).status).toBe(403);
    expect((await call('DELETE', place, { headers })).status).toBe(403);
    expect((await signIn({ email: ada.email, password: ada.password })).status).toBe(201);
    const enough = await authorized('users:write workers:read');
    expect((await call('PATCH', place, { json, headers: enough })).status).toBe(200);
    expect((await call('DELETE', place, { headers: enough })).status).toBe(204);
  });

  test('get nothing from those who do not have it themselves', async () => {
    const headers = await authorized('users:write');
    for (const scopes of [['*'], ['workers:read']])
      expect((await call('POST', '/api/v1/users', { json: { ...ada, scopes }, headers })).status).toBe(403);
    const { id } = await db.user.findFirstOrThrow();
    expect((await call('PATCH', `/api/v1/users/${id}`, { json: { scopes: ['*'] }, headers })).status).toBe(403);
    expect((await call('GET', '/api/v1/users', { headers })).status).toBe(403);
  });

  test('who may do less by now, or are gone, add and change nobody with the tokens that they have', async () => {
    const { body: root } = await call('POST', '/api/v1/users', { json: { ...ada, scopes: ['*'] } });
    const headers = { authorization: `Bearer ${await issuer.token({ subject: root.id })}` };
    const place = `/api/v1/users/${root.id}`;
    const eve = { email: 'eve@example.com', password: 'a long enough one' };
    const add = async (scopes: string[]) =>
      (await call('POST', '/api/v1/users', { json: { ...eve, scopes }, headers })).status;
    expect((await call('PATCH', place, { json: { scopes: ['users:write', 'workers:read'] } })).status).toBe(200);
    expect((await call('PATCH', place, { json: { scopes: ['*'] }, headers })).status).toBe(403);
    expect(await add(['*'])).toBe(403);
    expect(await add(['workers:read'])).toBe(201);
    await db.user.delete({ where: { email: eve.email } });
    const { promise, resolve } = Promise.withResolvers();
    const waiting = Array.from({ length: 2 }, () => inTurn(() => promise));
    const whileItWaits = add([]);
    await vi.waitFor(() => expect(hashQueue.size).toBe(1));
    await call('DELETE', place);
    resolve(undefined);
    await Promise.all(waiting);
    expect(await whileItWaits).toBe(403);
    expect(await add([])).toBe(403);
  });

  test('have no session that a change of theirs did not end, whatever they did at that moment', async () => {
    const { body: added } = await call('POST', '/api/v1/users', { json: ada });
    const { email, password } = ada;
    for (let round = 0; round < 20; round++) {
      const sessions = await Promise.all([signIn({ email, password }), signIn({ email, password })]);
      const scopes = [`workers:r${round}`];
      const meanwhile = sessions.map(({ body }) => refresh(body.refreshToken));
      await Promise.all([
        ...meanwhile,
        signIn({ email, password }),
        call('PATCH', `/api/v1/users/${added.id}`, { json: { scopes } }),
      ]);
      const left = await db.refreshToken.findMany({ where: { userId: added.id } });
      expect(left.filter((token) => token.scopes[0] !== scopes[0])).toEqual([]);
    }
  });

  test('with a wish for what they were not given are refused', async () => {
    await call('POST', '/api/v1/users', { json: ada });
    const asked = await signIn({ email: ada.email, password: ada.password, scope: 'workers:write' });
    expect(asked.status).toBe(403);
  });
});

describe('signing keys', () => {
  test('there are two, and their private parts are in no answer and in no clear text', async () => {
    const published = await keys();
    expect(published).toHaveLength(2);
    for (const key of published) expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x']);
    for (const { privateKey } of await db.signingKey.findMany())
      expect(Buffer.from(privateKey).toString()).not.toContain('"d"');
  });

  test('rotation: the next one was published before it signs, and the last one until its tokens expire', async () => {
    const before = await keys();
    const { body: older } = await signIn();
    await expect(rotateSigningKeys(db, SECRET, { compromised: false })).rejects.toThrow(/rotate again in \d+ s/);
    await db.signingKey.updateMany({ data: { createdAt: new Date(Date.now() - 70_000) } });
    const id = await rotateSigningKeys(db, SECRET, { compromised: false });
    const { body: newer } = await signIn();
    expect(decodeProtectedHeader(newer.accessToken).kid).toBe(id);
    expect(before.map(({ kid }: { kid: string }) => kid)).toContain(id);
    await verified(older.accessToken);
    await verified(newer.accessToken);
    expect(await keys()).toHaveLength(3);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 361_000 });
    expect(await keys()).toHaveLength(2);
    vi.useRealTimers();
  });

  test('where one is compromised all are withdrawn at once, with whatever secret they were made', async () => {
    const { body } = await signIn();
    const ids = async () => (await keys()).map(({ kid }: { kid: string }) => kid);
    const before = await ids();
    await rotateSigningKeys(db, 'another secret of 16', { compromised: true });
    await rotateSigningKeys(db, SECRET, { compromised: true });
    expect(await ids()).toHaveLength(2);
    expect((await ids()).filter((id: string) => before.includes(id))).toEqual([]);
    await expect(verified(body.accessToken)).rejects.toThrow();
    await verified((await signIn()).body.accessToken);
  });

  test('another secret than theirs is a sentence, and the service is not ready', async () => {
    await expect(signingKey(db, 'another secret of 16')).rejects.toThrow('SIGNING_KEYS_SECRET is not the one');
    const other = await startApi(database.url, { secret: 'another secret of 16' });
    const { status, body } = await other.call('GET', '/readyz');
    expect([status, body.reason]).toEqual([503, expect.stringContaining('SIGNING_KEYS_SECRET is not the one')]);
    await other.stop();
  });
});

test('replicas that start at once set up once', async () => {
  const empty = await createTestDatabase();
  const replicas = await Promise.all([1, 2, 3, 4].map(() => startApi(empty.url)));
  const ready = await Promise.all(replicas.map((replica) => replica.call('GET', '/readyz')));
  expect(ready.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect([await replicas[0]!.db.signingKey.count(), await replicas[0]!.db.user.count()]).toEqual([2, 1]);
  await Promise.all(replicas.map((replica) => replica.stop()));
  await empty.drop();
});

test('a client is as the release knows it, comes back where it is missing, and goes with the release', async () => {
  const own = await createTestDatabase();
  const more = { id: 'mails-worker', secret: 'a secret of mails-worker', scopes: ['workers:read'] };
  const before = await startApi(own.url, { clients: [{ ...CLIENT, scopes: [] }, more] });
  const after = await startApi(own.url);
  const known = async () =>
    (await after.db.client.findMany({ orderBy: { id: 'asc' } })).map(({ id, scopes }) => `${id} ${scopes}`);
  const exporting = `${CLIENT.id} ${CLIENT.scopes}`;
  expect(await known()).toEqual([exporting, 'mails-worker workers:read']);
  await after.db.client.deleteMany({ where: { id: more.id } });
  await vi.waitFor(async () => expect(await known()).toHaveLength(2), { timeout: 20_000 });
  await before.stop();
  await after.db.client.deleteMany({ where: { id: CLIENT.id } });
  await vi.waitFor(async () => expect(await known()).toHaveLength(2), { timeout: 20_000 });
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 301_000 });
  await vi.waitFor(async () => expect(await known()).toEqual([exporting]), { timeout: 20_000 });
  vi.useRealTimers();
  await after.stop();
  await own.drop();
});

test('what is emptied is set up again', async () => {
  const emptied = await createTestDatabase();
  const other = await startApi(emptied.url);
  await other.db.signingKey.deleteMany();
  await other.db.user.deleteMany();
  await other.db.client.deleteMany();
  const json = { email: ADMINISTRATOR.email, password };
  const signedIn = async () => (await other.call('POST', '/api/v1/sessions', { json })).status === 201;
  await vi.waitFor(async () => expect(await signedIn()).toBe(true), { timeout: 20_000, interval: 1000 });
  expect(await other.db.client.count()).toBe(1);
  await other.stop();
  await emptied.drop();
});

test('nothing secret is in the database or in the log as it is', async () => {
  const { body } = await signIn();
  const [user, client] = [await db.user.findFirstOrThrow(), await db.client.findFirstOrThrow()];
  expect(user.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await isPassword(password, user.passwordHash)).toBe(true);
  expect(await isPassword(`${password} `, user.passwordHash)).toBe(false);
  expect(client.secretHash).toBe(hashSecret(CLIENT.secret));
  const [, refreshSecret] = body.refreshToken.split('.');
  expect(await db.refreshToken.count({ where: { hash: { in: [body.refreshToken, refreshSecret] } } })).toBe(0);
  for (const secret of [password, CLIENT.secret, refreshSecret, body.accessToken])
    expect(JSON.stringify(api.lines)).not.toContain(secret);
});
