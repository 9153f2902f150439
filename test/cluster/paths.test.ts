// Names of objects in the API's paths.
import { expect, test } from 'vitest';
import { podPath, servicePath, workloadPath } from '../../src/cluster/paths.ts';

test('whatever a name holds, it stays one segment', () => {
  expect(servicePath('shop', 'orders')).toBe('/api/v1/namespaces/shop/services/orders');
  expect(podPath('a/b', 'c?d#e%2f')).toBe('/api/v1/namespaces/a%2Fb/pods/c%3Fd%23e%252f');
});

test.each(['.', '..'])('%s would lead to another object', (name) => {
  const refused = expect.objectContaining({ code: 'USAGE' }) as Error;
  expect(() => servicePath('shop', name)).toThrow(refused);
  expect(() => workloadPath('apps/v1', 'deployments', name, 'orders')).toThrow(refused);
});
