import { createHash } from 'node:crypto';
import { Problem } from '@keelson/http';
import type { Response } from 'express';
import { z } from 'zod';
import type { Database, Transaction } from './database.ts';

/** draft-ietf-httpapi-idempotency-key-header */
export const idempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
    .optional()
    .meta({ description: 'A request repeated with its key gets the first answer again, for a day.' }),
});

export type StoredAnswer = { status: number; headers: Record<string, string>; body: object };
type Attempt = { operation: string; key: string | undefined; body: unknown };

/**
 * Runs `act` in a transaction, once for each key: a repetition gets the stored answer. A repetition that comes while
 * the first is under way waits for it, at the key's unique index. Errors are not stored: they may be tried again.
 */
export async function answerOnce(
  db: Database,
  { operation, key, body }: Attempt,
  act: (tx: Transaction) => Promise<StoredAnswer>,
) {
  if (!key) return db.$transaction(act);
  const fingerprint = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  const id = { operation_key: { operation, key } };
  return db.$transaction(async (tx) => {
    await tx.$executeRaw`DELETE FROM "IdempotentAnswer" WHERE "createdAt" < now() - interval '1 day'`;
    const first = await tx.$executeRaw`
      INSERT INTO "IdempotentAnswer" (operation, key, fingerprint, status, headers, body)
      VALUES (${operation}, ${key}, ${fingerprint}, 0, '{}', '{}') ON CONFLICT DO NOTHING`;
    if (first === 0) return replay(await tx.idempotentAnswer.findUniqueOrThrow({ where: id }), fingerprint);
    const answer = await act(tx);
    await tx.idempotentAnswer.update({ where: id, data: answer });
    return answer;
  });
}

function replay(
  stored: { fingerprint: string; status: number; headers: unknown; body: unknown },
  fingerprint: string,
): StoredAnswer {
  if (stored.fingerprint !== fingerprint) throw new Problem(422, 'This Idempotency-Key was used for another request.');
  const headers = { ...(stored.headers as Record<string, string>), 'Idempotency-Replayed': 'true' };
  return { status: stored.status, headers, body: stored.body as object };
}

export const send = (res: Response, { status, headers, body }: StoredAnswer) =>
  res.status(status).set(headers).json(body);
