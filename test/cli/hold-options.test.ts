// M2: the forms of a mark, and what is refused before anything happens.
import { describe, expect, test } from 'vitest';
import { holdRequests, markOf } from '../../src/cli/hold-options.ts';

describe('M2: the mark', () => {
  test.each([
    [{}, 'VERSION', /^[0-9a-f]{6}$/],
    [{ versionMark: 'anna' }, 'VERSION', /^anna$/],
    [{ versionMark: 'x-lane:' }, 'x-lane', /^[0-9a-f]{6}$/],
    [{ versionMark: 'x-lane:blue' }, 'x-lane', /^blue$/],
    [{ versionMark: ':blue' }, 'VERSION', /^blue$/],
    [{ header: 'X-Dev=a=b' }, 'X-Dev', /^a=b$/],
    [{ header: 'X-Dev: anna' }, 'X-Dev', /^anna$/],
  ])('%j', (args, name, value) => {
    expect(markOf(args)).toEqual({ kind: 'header', name, value: expect.stringMatching(value) as string });
  });

  test.each([{ header: 'anna' }, { header: '=x' }, { versionMark: 'a b:c' }, { header: 'x=a\nb' }, { header: 'x=' }])(
    '%j is refused',
    (args) => expect(() => markOf(args)).toThrow(expect.objectContaining({ code: 'USAGE' })),
  );
});

describe('targets and ports', () => {
  test('several names, ports for all', () => {
    const args = { target: ['orders,stock', 'svc/db'], expose: ['8080,9000:http'], takeOver: true };
    expect(holdRequests(args, 'exchange').map(({ target, ports, takeOver }) => [target, ports, takeOver])).toEqual(
      ['orders', 'stock', 'svc/db'].map((name) => [
        name,
        [
          { remote: '8080', local: 8080 },
          { remote: 'http', local: 9000 },
        ],
        true,
      ]),
    );
  });

  test.each([
    { target: [] },
    { target: ['a'], expose: ['1:2:3'] },
    { target: ['a'], expose: ['0:80'] },
    { target: ['a'], expose: ['x:80'] },
  ])('%j is refused', (args) =>
    expect(() => holdRequests(args, 'exchange')).toThrow(expect.objectContaining({ code: 'USAGE' })),
  );
});
