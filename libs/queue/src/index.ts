export { defineJob, type JobContract } from './contract.ts';
export { enqueue, type Run } from './enqueue.ts';
export { handle, type JobContext, type JobHandler } from './handler.ts';
export { installQueue } from './install.ts';
export { startWorker, type WorkerOptions } from './worker.ts';
