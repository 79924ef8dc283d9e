export { exportWorkers } from './export-workers.ts';
