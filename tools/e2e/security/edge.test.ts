import '../src/leave-clean.ts';
import '../src/edge.test.ts';
