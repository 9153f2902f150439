import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonPatch, mergePatch, strategicMergePatch } from '../../src/playground/api/patch.ts';

/** Patches without the one field that is refused (below). */
const acceptedPatch = fc.jsonValue().filter((patch) => !JSON.stringify(patch).includes('"__proto__":'));

describe('JSON merge patch', () => {
  // RFC 7396, appendix A: original, patch, result.
  test.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j is %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });

  test('applied twice it changes nothing more, and never the target', () => {
    fc.assert(
      fc.property(fc.jsonValue(), acceptedPatch, (target, patch) => {
        const before = JSON.stringify(target);
        const once = mergePatch(target, patch);
        expect(mergePatch(once, patch)).toEqual(once);
        expect(JSON.stringify(target)).toBe(before);
      }),
    );
  });

  test('a prototype cannot be reached', () => {
    expect(() => mergePatch({}, JSON.parse('{"__proto__":{"polluted":1}}'))).toThrow('rejected our request');
    expect(() => jsonPatch({}, [{ op: 'add', path: '/constructor/x', value: 1 }])).toThrow('rejected our request');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

describe('JSON patch', () => {
  // RFC 6902, appendix A.
  test.each([
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    [{ baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    [{ foo: [1, 2, 3] }, [{ op: 'replace', path: '/foo/1', value: 9 }], { foo: [1, 9, 3] }],
    [
      { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    ],
    [
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [{ baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'qux' }], { baz: 'qux' }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc'] }], { foo: ['bar', ['abc']] }],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [{ a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    [{ a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
  ])('%j with %j is %j', (target, operations, result) => {
    expect(jsonPatch(target, operations)).toEqual(result);
  });

  test.each([
    [{ baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'bar' }]],
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz/bat', value: 'qux' }]],
    [{ foo: 'bar' }, [{ op: 'remove', path: '/nope' }]],
    [{ foo: [1] }, [{ op: 'add', path: '/foo/5', value: 1 }]],
    [{ foo: 'bar' }, [{ op: 'nope', path: '/foo' }]],
    [{ foo: 'bar' }, [{ op: 'add', path: 'foo', value: 1 }]],
    [{ foo: 'bar' }, { op: 'add' }],
    [{ foo: 'bar' }, [null]],
  ])('%j with %j is refused', (target, operations) => {
    expect(() => jsonPatch(target, operations)).toThrow(
      'the server rejected our request due to an error in our request',
    );
  });

  test('a list of anything never throws anything but the refusal', () => {
    const operation = fc.record({
      op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'),
      path: fc.oneof(fc.string(), fc.constantFrom('', '/a', '/a/0', '/a/-', '/b/c')),
      from: fc.constantFrom('', '/a', '/a/0', '/b'),
      value: fc.jsonValue(),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 5 }), (operations) => {
        try {
          jsonPatch({ a: [1, 2], b: { c: 1 } }, operations);
        } catch (error) {
          expect((error as Error).name).toBe('ApiError');
        }
      }),
    );
  });
});

describe('strategic merge patch', () => {
  const pod = {
    spec: {
      containers: [
        { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
        { name: 'b', image: '1' },
      ],
    },
  };

  test('merges containers and variables by their names', () => {
    const patch = {
      spec: {
        containers: [
          {
            name: 'a',
            env: [
              { name: 'Y', value: '2' },
              { name: 'X', value: '3' },
            ],
          },
        ],
      },
    };
    expect(strategicMergePatch(pod, patch)).toEqual({
      spec: {
        containers: [
          {
            name: 'a',
            image: '1',
            env: [
              { name: 'X', value: '3' },
              { name: 'Y', value: '2' },
            ],
          },
          { name: 'b', image: '1' },
        ],
      },
    });
  });

  test('takes away by $patch: delete, and reads over the order directives of kubectl apply', () => {
    const patch = {
      spec: { '$setElementOrder/containers': [{ name: 'a' }], containers: [{ name: 'b', $patch: 'delete' }] },
    };
    expect(strategicMergePatch(pod, patch)).toEqual({ spec: { containers: [pod.spec.containers[0]] } });
  });

  test('lists without a key are replaced', () => {
    expect(strategicMergePatch({ args: ['a', 'b'] }, { args: ['c'] })).toEqual({ args: ['c'] });
  });
});
