import { describe, expect, test } from 'vitest';
import { namesOf } from './names.ts';
import { withNpmOptions } from './npm-options.ts';

describe('names', () => {
  test.for([
    ['orders', 'order', 'Order', 'ORDERS', '/api/v1/orders', 'an order'],
    ['line-items', 'line-item', 'LineItem', 'LINE_ITEMS', '/api/v1/line-items', 'a line item'],
    ['categories', 'category', 'Category', 'CATEGORIES', '/api/v1/categories', 'a category'],
    ['people', 'person', 'Person', 'PEOPLE', '/api/v1/people', 'a person'],
    ['addresses', 'address', 'Address', 'ADDRESSES', '/api/v1/addresses', 'an address'],
    ['equipment', 'equipment', 'Equipment', 'EQUIPMENT', '/api/v1/equipment', 'an equipment'],
    ['users', 'user', 'User', 'USERS', '/api/v1/users', 'a user'],
  ])('of %s', ([name, item, Item, ITEMS, route, anItem]) => {
    expect(namesOf('api', { name: name! })).toMatchObject({ name: `${name}-api`, item, Item, ITEMS, route, anItem });
  });

  test('a suffix that is there already is not added again', () => {
    expect(namesOf('api', { name: 'orders-api' }).name).toBe('orders-api');
    expect(namesOf('worker', { name: 'invoices-worker' })).toMatchObject({
      name: 'invoices-worker',
      job: 'process-invoice',
    });
  });
});

describe('a refusal is a sentence', () => {
  test.for([
    [{ name: 'Orders' }, 'must be like line-item'],
    [{ name: 'orders_' }, 'must be like line-item'],
    [{ name: '../etc' }, 'must be like line-item'],
    [{ name: 'a-1' }, 'must be like line-item'],
    [{ name: 'x' }, '2 to 40 characters'],
    [{ name: 'x'.repeat(41) }, '2 to 40 characters'],
    [{ name: 'public' }, 'is reserved'],
    [{ name: 'pg-stat' }, 'is reserved'],
    [{ name: 'graphile-worker' }, 'is reserved'],
    [{ name: 'order' }, 'keyword of Postgres'],
    [{ name: 'current-user' }, 'keyword of Postgres'],
    [{ name: 'shop', resource: 'class' }, 'would clash'],
    [{ name: 'shop', resource: 'prisma-client' }, 'would clash'],
    [{ name: 'shop', job: 'send' }, 'by what it does to what'],
    [{ name: 'shop', job: 'start-worker' }, 'by what it does to what'],
    [{ name: 'shop', route: '/orders' }, 'must be like /api/v1/line-items'],
    [{ name: 'shop', route: '/api/v1/Orders/' }, 'must be like /api/v1/line-items'],
  ])('%j', ([options, said]) => {
    expect(() => namesOf('api', options as { name: string })).toThrow(said as string);
  });
});

describe('what npm keeps for itself', () => {
  const npm = (words: string, env: object) => withNpmOptions(words.split(' '), { npm_lifecycle_event: 'new', ...env });

  test('is given back', () => {
    expect(npm('new api orders', { npm_config_dry_run: 'true' })).toEqual(['new', 'api', 'orders', '--dry-run']);
    expect(npm('new worker mails', { npm_config_database: '' })).toContain('--no-database');
    expect(npm('new api shop', { npm_config_route: '/api/v1/x' })).toContain('--route=/api/v1/x');
    expect(npm('new api shop item', { npm_config_resource: 'true' })).toEqual([
      'new',
      'api',
      'shop',
      '--resource=item',
    ]);
  });

  test('is refused where it cannot be told apart', () => {
    expect(() => npm('new api shop a b', { npm_config_resource: 'true', npm_config_route: 'true' })).toThrow(
      'write -- before',
    );
    expect(npm('new api shop --resource=item', {})).toEqual(['new', 'api', 'shop', '--resource=item']);
  });
});
