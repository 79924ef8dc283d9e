import { z } from 'zod';
import type { User as Row } from '../generated/prisma/client.ts';
import { scopeWord } from './scopes.ts';

export const USERS = '/api/v1/users';

export const email = z
  .email()
  .max(254)
  .transform((address) => address.toLowerCase());
/** NIST SP 800-63B, 5.1.1.2: length counts, not which characters there are. */
export const password = z.string().min(12).max(128);
const scopes = z.array(scopeWord).max(100);

export const User = z
  .object({
    id: z.uuid(),
    email: z.string(),
    scopes: z.array(z.string()),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: 'User' });
export const NewUser = z.strictObject({ email, password, scopes });
/** A change ends the user's sessions, so that it is not to be none. */
export const UserChanges = z
  .strictObject({ password: password.optional(), scopes: scopes.optional() })
  .refine(({ password, scopes }) => password ?? scopes, 'must have a password, scopes or both')
  .meta({ minProperties: 1 });

export const toUser = ({ id, email, scopes, createdAt, updatedAt }: Row): z.infer<typeof User> => ({
  id,
  email,
  scopes,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
});
