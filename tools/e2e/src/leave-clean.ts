import { afterAll } from 'vitest';
import { removeAll } from './made.ts';

afterAll(removeAll);
