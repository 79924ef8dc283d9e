import '../src/access.test.ts';
