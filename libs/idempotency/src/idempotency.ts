import { createHash } from 'node:crypto';
import { Problem } from '@keelson/http';
import type { Response } from 'express';
import { z } from 'zod';

/** draft-ietf-httpapi-idempotency-key-header */
export const idempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
    .optional()
    .meta({ description: 'A request repeated with its key gets the first answer again, for a day.' }),
});

/** Of the header that tells a repetition; for an operation's `answers`. */
export const replayed = { 'Idempotency-Replayed': z.literal('true').optional() };

export type StoredAnswer = { status: number; headers: Record<string, string>; body: object };
type Stored = StoredAnswer & { fingerprint: string };
/** What is used of a Prisma client, whose schema has the table `IdempotentAnswer`. */
type Sql = {
  $queryRaw<T>(query: TemplateStringsArray, ...values: unknown[]): Promise<T>;
  $executeRaw(query: TemplateStringsArray, ...values: unknown[]): Promise<number>;
};
type Client<Tx extends Sql> = Sql & { $transaction<T>(act: (tx: Tx) => Promise<T>): Promise<T> };
type Attempt = { operation: string; key: string | undefined; body: unknown };

/** No answer has this status: only the transaction that is about to find one sees it. */
const UNDER_WAY = 0;

/**
 * Runs `act` in a transaction, once for each key: a repetition gets the stored answer. A repetition that comes while
 * the first is under way waits for it, at the key's unique index. Errors are not stored: they may be tried again.
 */
export async function answerOnce<Tx extends Sql>(
  db: Client<Tx>,
  { operation, key, body }: Attempt,
  act: (tx: Tx) => Promise<StoredAnswer>,
): Promise<StoredAnswer> {
  if (!key) return db.$transaction(act);
  const fingerprint = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  await forgetOld(db);
  return db.$transaction(async (tx) => {
    // Touching a row that is there locks it, so that nobody forgets it before it is read.
    const [stored] = await tx.$queryRaw<Stored[]>`
      INSERT INTO "IdempotentAnswer" AS stored (operation, key, fingerprint, status, headers, body)
      VALUES (${operation}, ${key}, ${fingerprint}, ${UNDER_WAY}, '{}', '{}')
      ON CONFLICT (operation, key) DO UPDATE SET key = stored.key
      RETURNING fingerprint, status, headers, body`;
    if (stored!.status !== UNDER_WAY) return replay(stored!, fingerprint);
    const answer = await act(tx);
    await tx.$executeRaw`
      UPDATE "IdempotentAnswer"
      SET status = ${answer.status}, headers = ${JSON.stringify(answer.headers)}::jsonb,
        body = ${JSON.stringify(answer.body)}::json
      WHERE operation = ${operation} AND key = ${key}`;
    return answer;
  });
}

/** A few at a time, and none that others are about to forget: no request pays for all that a busy day left. */
const forgetOld = (db: Sql) => db.$executeRaw`
  DELETE FROM "IdempotentAnswer" WHERE (operation, key) IN (
    SELECT operation, key FROM "IdempotentAnswer" WHERE "createdAt" < now() - interval '1 day'
    ORDER BY "createdAt" LIMIT 100 FOR UPDATE SKIP LOCKED)`;

function replay(stored: Stored, fingerprint: string): StoredAnswer {
  if (stored.fingerprint !== fingerprint)
    throw new Problem(422, 'This Idempotency-Key was used for another request.', {
      errors: [{ in: 'header', name: 'idempotency-key', detail: 'was used with another body' }],
    });
  return { ...stored, headers: { ...stored.headers, 'Idempotency-Replayed': 'true' } };
}

export const send = (res: Response, { status, headers, body }: StoredAnswer) =>
  res.status(status).set(headers).json(body);
