export { defineJob, type JobContract } from './contract.ts';
export { enqueue, type Run } from './enqueue.ts';
export { installQueue } from './install.ts';
export { handle, startWorker, type JobContext, type JobHandler, type WorkerOptions } from './worker.ts';
