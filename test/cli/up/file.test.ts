// Must: a session file is read whole or refused with its place, and no text makes the reader fail otherwise.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseUpFile } from '../../../src/cli/up/file.ts';
import { KtError } from '../../../src/errors.ts';

test('everything it may hold', () => {
  const text = `
namespace: shop
context: staging
exchange: [orders:8080]
mesh:
  - stock:9090:8080
version-mark: anna
preview: [orders-anna:8080:80]
forward: [db 5432]
run:
  orders:
    command: mvn -q "spring-boot:run" '-Dx=a b'
    folder: orders
    env: { SPRING_PROFILES_ACTIVE: dev, PORT: 8080 }
    env-from: [deploy/orders]
  front:
    command: [npm, run, "start:dev"]
`;
  expect(parseUpFile(text, 'kt.yaml')).toEqual({
    namespace: 'shop',
    context: 'staging',
    exchange: ['orders:8080'],
    mesh: ['stock:9090:8080'],
    'version-mark': 'anna',
    preview: ['orders-anna:8080:80'],
    forward: ['db 5432'],
    run: {
      orders: {
        command: ['mvn', '-q', 'spring-boot:run', '-Dx=a b'],
        folder: 'orders',
        env: { SPRING_PROFILES_ACTIVE: 'dev', PORT: '8080' },
        'env-from': ['deploy/orders'],
        'files-from': [],
      },
      front: { command: ['npm', 'run', 'start:dev'], env: {}, 'env-from': [], 'files-from': [] },
    },
  });
});

test('an empty one connects', () => {
  expect(parseUpFile('# nothing yet\n', 'kt.yaml')).toMatchObject({ exchange: [], run: {} });
});

describe('what is wrong is named with its place', () => {
  test.each([
    ['exchnge: [orders]', "kt.yaml:1:1: unknown key 'exchnge'"],
    ['exchange: orders', 'kt.yaml:1:11: exchange must be a list'],
    ['namespace: shop\nrun:\n  orders:\n    folder: x', /^kt\.yaml:4:5: run\.orders(\.command)? must be/],
    ['run:\n  orders:\n    command: ""', 'kt.yaml:3:14: run.orders.command must not be empty'],
    ['run:\n  orders:\n    command: mvn\n    envfrom: x', "kt.yaml:4:5: unknown key 'run.orders.envfrom'"],
    ['run:\n  orders: mvn', 'kt.yaml:2:11: run.orders must be a mapping with a command'],
    ['- orders', /^kt\.yaml:1:1: must be a mapping/],
    ['a: [', /^kt\.yaml:1:5: not YAML/],
    ['exchange: &x [orders]\nmesh: *x', 'kt.yaml:2:7: anchors and aliases are not read'],
  ])('%j', (text, message) => {
    const error = (() => {
      try {
        return parseUpFile(text, 'kt.yaml');
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(KtError);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });
  });
});

test('no text makes it fail otherwise', () => {
  const yamlish = fc.array(
    fc.constantFrom(
      'run:',
      ' a',
      ':',
      '- ',
      '[',
      ']',
      '{',
      '}',
      '\n',
      '"',
      '&x',
      '*x',
      '!!js',
      'exchange: ',
      '#',
      '|',
      '\t',
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        yamlish.map((parts) => parts.join('')),
      ),
      (text) => {
        try {
          parseUpFile(text, 'kt.yaml');
        } catch (error) {
          expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
        }
      },
    ),
    { numRuns: 500 },
  );
});
