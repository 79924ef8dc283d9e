export { createApi, type ApiOptions, type Service } from './api.ts';
export { type Access } from './authorize.ts';
export { operation, type Answer, type Operation } from './operation.ts';
export { cursor, decodeCursor, encodeCursor, limit, page } from './paging.ts';
export { Fault, notFound, Problem, ProblemBody, unavailable } from './problem.ts';
export { serve, type ServeOptions } from './serve.ts';
export { line, report } from './text.ts';
