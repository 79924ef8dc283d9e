const WORKERS = '/api/v1/workers';
const EXPORTS = '/api/v1/exports';
const SESSIONS = '/api/v1/sessions';
const byId = (id) => document.getElementById(id);
const copyOf = (template) => byId(template).content.firstElementChild.cloneNode(true);

/** What the API answers when it cannot do what it was asked to: application/problem+json. */
class Problem extends Error {
  constructor({ title, detail, errors = [], requestId }) {
    super(detail ?? title);
    Object.assign(this, { title, errors, requestId });
  }
}

async function call(method, path, options) {
  const response = await inSession(method, path, options);
  return { etag: response.headers.get('ETag'), data: await response.json().catch(() => undefined) };
}

async function ask(method, path, { body, headers, signal } = {}) {
  const type = body ? { 'Content-Type': 'application/json' } : {};
  const request = { method, signal, headers: { ...type, ...headers }, body: body && JSON.stringify(body) };
  return fetch(path, request).catch((error) => {
    if (error.name === 'AbortError') throw error;
    throw new Problem({ title: 'No connection', detail: 'The server did not answer. Is it running?' });
  });
}

async function succeeded(response) {
  if (response.ok) return response;
  throw new Problem(await response.json().catch(() => ({ title: `The server answered ${response.status}.` })));
}

/* Session */

/** The tokens, which are kept nowhere else: a page that is loaded again asks for the password again. */
let session;
let renewing;

/**
 * A request with the access token. Where there is none that is good, the session is renewed, or whoever is there signs in;
 * a token that is fresh and refused all the same is a problem.
 */
async function inSession(method, path, options = {}) {
  const used = session;
  const response = await askWithToken(method, path, options);
  if (response.status !== 401) return succeeded(response);
  if (used === session) {
    renewing ??= renewSession().finally(() => (renewing = undefined));
    await renewing;
  }
  return succeeded(await askWithToken(method, path, options));
}

function askWithToken(method, path, options) {
  const authorization = session && { Authorization: `Bearer ${session.accessToken}` };
  return ask(method, path, { ...options, headers: { ...options.headers, ...authorization } });
}

/** A server that is busy or away is no reason to sign in again. */
async function renewSession() {
  const { refreshToken } = session ?? {};
  const renewed = refreshToken && (await ask('POST', `${SESSIONS}/refresh`, { body: { refreshToken } }));
  session = renewed && renewed.status !== 401 ? await (await succeeded(renewed)).json() : await signIn();
}

function signIn() {
  const [dialog, credentials] = [byId('sign-in'), byId('credentials')];
  dialog.oncancel = (event) => event.preventDefault();
  dialog.showModal();
  return new Promise((resolve) => {
    credentials.onsubmit = (event) => {
      event.preventDefault();
      const enter = async () => {
        const body = Object.fromEntries(new FormData(credentials));
        const begun = await (await succeeded(await ask('POST', SESSIONS, { body }))).json();
        credentials.reset();
        dialog.close();
        resolve(begun);
      };
      attempt(enter, { button: event.submitter, errors: byId('sign-in-error') });
    };
  });
}

/* Messages */

function showError(box, error) {
  if (error?.name === 'AbortError') return;
  if (error && !(error instanceof Problem)) console.error(error);
  const text = box.querySelector('div');
  text.replaceChildren();
  box.hidden = !error;
  if (!error) return;
  text.append(Object.assign(document.createElement('strong'), { textContent: `${error.title ?? 'Error'}. ` }));
  text.append(error.message === error.title ? '' : error.message);
  const rest = (error.errors ?? []).filter(({ shown }) => !shown);
  if (rest.length) text.append(listOf(rest.map(({ name, detail }) => `${name || 'The whole'}: ${detail}`)));
  if (error.requestId)
    text.append(Object.assign(document.createElement('small'), { textContent: `Request ${error.requestId}` }));
}

function listOf(lines) {
  const list = document.createElement('ul');
  list.append(...lines.map((line) => Object.assign(document.createElement('li'), { textContent: line })));
  return list;
}

const say = (text) => (byId('news').textContent = text);

/** Runs what a person asked for, once at a time, and tells them if it fails. */
async function attempt(action, { button, errors = byId('error') } = {}) {
  if (button) button.disabled = true;
  showError(errors);
  await action().catch((error) => showError(errors, error));
  if (button) button.disabled = false;
}

byId('error-close').onclick = () => showError(byId('error'));

/* Roster */

const filter = byId('filter');
const roles = new Set();
let cursors = [''];
let loading = new AbortController();

async function loadWorkers() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  byId('workers').ariaBusy = 'true';
  const query = new URLSearchParams({ limit: 20, cursor: cursors.at(-1), ...Object.fromEntries(new FormData(filter)) });
  for (const [name, value] of [...query]) if (!value.trim()) query.delete(name);
  const { data } = await call('GET', `${WORKERS}?${query}`, { signal }).finally(() => {
    if (!signal.aborted) byId('workers').ariaBusy = 'false';
  });
  showWorkers(data);
}

function showWorkers({ items, nextCursor }) {
  byId('workers').replaceChildren(...items.map(workerRow));
  byId('nobody').hidden = items.length > 0;
  byId('page').textContent = `Page ${cursors.length}`;
  byId('previous').disabled = cursors.length === 1;
  byId('next').disabled = !nextCursor;
  byId('next').onclick = () => turnTo([...cursors, nextCursor]);
  for (const { role } of items) roles.add(role);
  byId('roles').replaceChildren(...[...roles].sort().map((role) => new Option(role, role)));
}

function workerRow(worker) {
  const row = copyOf('worker-row');
  for (const cell of row.querySelectorAll('[data-field]')) cell.textContent = worker[cell.dataset.field];
  for (const button of row.querySelectorAll('button')) {
    button.ariaLabel = `${button.textContent} ${worker.name}`;
    button.onclick = () => attempt(() => (button.dataset.do === 'edit' ? edit(worker) : remove(worker)), { button });
  }
  return row;
}

function turnTo(pages) {
  cursors = pages;
  return attempt(loadWorkers);
}

let typing;
filter.oninput = ({ target }) => {
  clearTimeout(typing);
  if (target.name === 'search') typing = setTimeout(() => turnTo(['']), 250);
};
filter.onchange = ({ target }) => {
  if (target.name !== 'search') turnTo(['']);
};
filter.onsubmit = (event) => event.preventDefault();
byId('previous').onclick = () => turnTo(cursors.slice(0, -1));

/* Add and edit */

const editor = byId('editor');
const form = byId('worker');
let edited;
let idempotencyKey;

/** A save that is repeated because no answer came must not add the worker twice: the same values keep their key. */
const renewKey = () => (idempotencyKey = Array.from(crypto.getRandomValues(new Uint32Array(4)), String).join('-'));

function openEditor(title, worker = {}) {
  byId('editor-title').textContent = title;
  form.reset();
  for (const field of form.querySelectorAll('input')) field.value = worker[field.name] ?? '';
  showFaults([]);
  showError(byId('worker-error'));
  renewKey();
  editor.showModal();
}

byId('add').onclick = () => {
  edited = undefined;
  openEditor('Add worker');
};

async function edit({ id }) {
  const { data, etag } = await call('GET', `${WORKERS}/${id}`);
  edited = { id, etag };
  openEditor('Edit worker', data);
}

async function save() {
  const body = Object.fromEntries(new FormData(form));
  showFaults([]);
  try {
    if (edited) await call('PATCH', `${WORKERS}/${edited.id}`, { body, headers: { 'If-Match': edited.etag } });
    else await call('POST', WORKERS, { body, headers: { 'Idempotency-Key': idempotencyKey } });
  } catch (error) {
    showFaults(error.errors ?? []);
    throw error;
  }
  editor.close();
  say(`${body.name} was ${edited ? 'changed' : 'added'}.`);
  await turnTo(cursors);
}

/** Puts each complaint at its field; what has no field is left for the message above. */
function showFaults(faults) {
  for (const old of form.querySelectorAll('.fault')) old.remove();
  for (const field of form.querySelectorAll('input')) {
    const fault = faults.find(({ in: place, name }) => place === 'body' && name === field.name);
    field.ariaInvalid = fault ? 'true' : 'false';
    if (!fault) continue;
    fault.shown = true;
    field.after(Object.assign(document.createElement('span'), { className: 'fault', textContent: fault.detail }));
  }
  form.querySelector('[aria-invalid=true]')?.focus();
}

form.oninput = renewKey;
form.onsubmit = (event) => {
  event.preventDefault();
  attempt(save, { button: event.submitter, errors: byId('worker-error') });
};
form.querySelector('[value=cancel]').onclick = () => editor.close();

async function remove({ id, name }) {
  const dialog = byId('remover');
  byId('remover-text').textContent = `${name} leaves the roster. This cannot be undone.`;
  dialog.returnValue = '';
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  if (dialog.returnValue !== 'remove') return;
  await call('DELETE', `${WORKERS}/${id}`);
  say(`${name} was removed.`);
  await turnTo(cursors);
}

/* Exports */

const STATES = { queued: 'Waiting', running: 'Running', done: 'Done', failed: 'Failed' };
const number = new Intl.NumberFormat('en');
const time = new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' });
let underWay = false;
let polling;

async function loadExports() {
  clearTimeout(polling);
  try {
    const { data } = await call('GET', `${EXPORTS}?limit=5`);
    showExports(data.items);
  } finally {
    if (underWay) polling = setTimeout(() => loadExports().catch((error) => showError(byId('error'), error)), 1000);
  }
}

/** Rows that are there stay in place, so that a link keeps its focus while the list is watched. */
function showExports(items) {
  const list = byId('exports');
  const rows = items.map((item) => list.querySelector(`[data-id="${item.id}"]`) ?? copyOf('export-row'));
  if (rows.length !== list.children.length || rows.some((row, index) => row !== list.children[index]))
    list.replaceChildren(...rows);
  items.forEach((item, index) => showExport(rows[index], item));
  byId('no-exports').hidden = items.length > 0;
  underWay = items.some(isUnderWay);
}

const isUnderWay = ({ state }) => state === 'queued' || state === 'running';

function showExport(row, item) {
  const [link, progress, created] = ['a', 'progress', 'time'].map((name) => row.querySelector(name));
  if (row.dataset.state && row.dataset.state !== item.state) say(`The export is ${STATES[item.state].toLowerCase()}.`);
  Object.assign(row.dataset, { id: item.id, state: item.state });
  row.querySelector('.state').textContent = STATES[item.state];
  row.querySelector('.about').textContent = aboutExport(item);
  created.textContent = time.format(new Date(item.createdAt));
  created.dateTime = item.createdAt;
  link.hidden = item.state !== 'done';
  link.href = `${EXPORTS}/${item.id}/file`;
  link.onclick = (event) => {
    event.preventDefault();
    attempt(() => download(item));
  };
  progress.hidden = !isUnderWay(item);
  progress.ariaLabel = 'Rows written';
  if (item.rowsTotal) Object.assign(progress, { max: item.rowsTotal, value: item.rowsDone });
}

/** A link would come without the access token. */
async function download({ id }) {
  const file = await (await inSession('GET', `${EXPORTS}/${id}/file`)).blob();
  const href = URL.createObjectURL(file);
  Object.assign(document.createElement('a'), { href, download: `workers-${id}.csv` }).click();
  URL.revokeObjectURL(href);
}

const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

function aboutExport({ state, reason, rowsDone, rowsTotal, bytes }) {
  if (state === 'failed') return reason ?? 'No reason is known.';
  if (state === 'queued') return 'Starts in a moment.';
  if (state === 'running')
    return `${number.format(rowsDone)}${rowsTotal ? ` of ${number.format(rowsTotal)}` : ''} rows`;
  return `${number.format(rowsDone)} rows, ${size(bytes ?? 0)}`;
}

byId('export').onclick = ({ currentTarget }) =>
  attempt(
    async () => {
      await call('POST', EXPORTS);
      say('The export was started.');
      await loadExports();
    },
    { button: currentTarget },
  );

/* What the APIs say of themselves */

async function loadDescriptions() {
  const { linkset } = (await call('GET', '/.well-known/api-catalog')).data;
  const links = linkset.flatMap((context) => context['service-desc']);
  const linked = ({ href, title }) => Object.assign(document.createElement('a'), { href, textContent: title });
  byId('descriptions').append(...links.map(linked));
}

await Promise.all([attempt(loadWorkers), attempt(loadExports), attempt(loadDescriptions)]);
