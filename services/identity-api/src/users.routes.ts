import { cursor, decodeCursor, encodeCursor, limit, notFound, operation, page, Problem } from '@keelson/http';
import { isDuplicate } from '@keelson/postgres';
import type { Principal } from '@keelson/auth';
import { z } from 'zod';
import type { Database } from './database.ts';
import { hashPassword } from './passwords.ts';
import { granted } from './scopes.ts';
import { NewUser, toUser, User, UserChanges, USERS } from './user.ts';

const params = z.object({ id: z.uuid() });

/** Who may sign in, and what they may do. Nobody gives more than they have, or has a say over who may do more. */
export function userOperations({ db }: { db: Database }) {
  return [
    operation({
      method: 'get',
      path: USERS,
      summary: 'List users, a page at a time',
      access: 'users:read',
      query: z.strictObject({ limit, cursor }),
      answers: { 200: { description: 'A page of users', schema: page(User) } },
      handle: async ({ query, res }) => {
        const [after] = query.cursor ? decodeCursor(query.cursor, z.tuple([z.uuid()])) : [];
        const rows = await db.user.findMany({
          ...(after ? { where: { id: { gt: after } } } : {}),
          orderBy: { id: 'asc' },
          take: query.limit + 1,
        });
        const items = rows.slice(0, query.limit).map(toUser);
        const last = items.at(-1);
        res.json({ items, nextCursor: rows.length > query.limit && last ? encodeCursor([last.id]) : null });
      },
    }),

    operation({
      method: 'post',
      path: USERS,
      summary: 'Add a user',
      access: 'users:write',
      body: NewUser,
      answers: { 201: { description: 'The user', schema: User, headers: z.object({ Location: z.string() }) } },
      problems: [409],
      handle: async ({ body: { email, password, scopes }, req, res }) => {
        const data = { email, passwordHash: await hashPassword(password), scopes };
        mayGive(await present(db, req.principal!), scopes);
        const row = await db.user.create({ data }).catch(refuseDuplicate);
        res.status(201).set('Location', `${USERS}/${row.id}`).json(toUser(row));
      },
    }),

    operation({
      method: 'patch',
      path: `${USERS}/{id}`,
      summary: "Change a user's password or scopes, and end the user's sessions",
      access: 'users:write',
      params,
      body: UserChanges,
      answers: { 200: { description: 'The user as it is now', schema: User } },
      problems: [404, 409],
      handle: async ({ params, body: { password, scopes }, req, res }) => {
        const data = {
          ...(password ? { passwordHash: await hashPassword(password) } : {}),
          ...(scopes ? { scopes } : {}),
        };
        const mine = await present(db, req.principal!);
        const { id, updatedAt } = await inReach(db, params.id, mine);
        mayGive(mine, scopes);
        const [[row]] = await db.$transaction([
          db.user.updateManyAndReturn({ where: { id, updatedAt }, data }),
          db.refreshToken.deleteMany({ where: { userId: id } }),
        ]);
        if (!row) throw changedMeanwhile();
        res.json(toUser(row));
      },
    }),

    operation({
      method: 'delete',
      path: `${USERS}/{id}`,
      summary: 'Remove a user',
      access: 'users:write',
      params,
      answers: { 204: { description: 'The user is gone' } },
      problems: [404, 409],
      handle: async ({ params, req, res }) => {
        const { id, updatedAt } = await inReach(db, params.id, await present(db, req.principal!));
        const { count } = await db.user.deleteMany({ where: { id, updatedAt } });
        if (count === 0) throw changedMeanwhile();
        res.status(204).end();
      },
    }),
  ];
}

/**
 * The scopes of whoever asks, as they are now: a token is good for some minutes more when its user may do less or is gone,
 * and here that could be made to last. Is to be asked after what may have to wait. @throws Problem 403
 */
async function present(db: Database, { subject, scopes }: Principal): Promise<string[]> {
  if (!z.uuid().safeParse(subject).success) return scopes; // no user's
  const has = (await db.user.findUnique({ where: { id: subject } }))?.scopes ?? [];
  const both = scopes.includes('*') ? has : scopes.filter((scope) => has.includes(scope) || has.includes('*'));
  granted(both, 'users:write');
  return both;
}

function mayGive(mine: string[], scopes: string[] | undefined) {
  if (scopes?.length) granted(mine, scopes.join(' '));
}

/** Whoever sets somebody's password may do all that they may. @throws Problem 403, 404 */
async function inReach(db: Database, id: string, mine: string[]) {
  const user = await db.user.findUnique({ where: { id } });
  if (!user) throw notFound('user');
  mayGive(mine, user.scopes);
  return user;
}

const changedMeanwhile = () => new Problem(409, 'Somebody else has just changed the user: look again.');

function refuseDuplicate(error: unknown): never {
  if (!isDuplicate(error)) throw error;
  const errors = [{ in: 'body' as const, name: 'email', detail: 'is taken by another user' }];
  throw new Problem(409, 'There is a user with this email address.', { errors });
}
