import { expect } from 'vitest';

/**
 * Walks through what every generated API has, by way of the proxy at `url`: create, list, read, change, remove, and its
 * description in the catalog.
 */
export async function serves(url: string, route: string, authorization: Record<string, string>) {
  const call = async (method: string, path: string, json?: unknown) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { ...authorization, ...(json === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    return { status: answer.status, location: answer.headers.get('location'), body: await answer.text() };
  };
  const created = await call('POST', route, { name: 'first' });
  expect([created.status, created.body]).toEqual([201, expect.stringContaining('"name":"first"')]);
  const own = created.location!;
  expect(own).toMatch(new RegExp(`^${route}/[0-9a-f-]{36}$`));
  expect(await call('GET', own)).toMatchObject({ status: 200, body: created.body });
  expect(await call('PATCH', own, { name: 'second' })).toMatchObject({ status: 200 });
  const listed = await call('GET', route);
  expect([listed.status, JSON.parse(listed.body)]).toMatchObject([200, { items: [{ name: 'second' }] }]);
  expect(await call('DELETE', own)).toMatchObject({ status: 204 });
  expect(await call('GET', own)).toMatchObject({ status: 404 });
  expect(await call('POST', route, { name: '' })).toMatchObject({ status: 422 });
  const { linkset } = JSON.parse((await call('GET', '/.well-known/api-catalog')).body);
  const hrefs: string[] = linkset[0]['service-desc'].map(({ href }: { href: string }) => href);
  const documents = await Promise.all(hrefs.map((href) => call('GET', href)));
  expect(documents.flatMap(({ body }) => Object.keys(JSON.parse(body).paths))).toContain(`${route}/{id}`);
}
