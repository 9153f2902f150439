import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PODS, SERVICES } from '../../src/playground/api/resources.ts';
import { matchesLabels, parseFieldSelector, parseLabelSelector } from '../../src/playground/api/selector.ts';
import type { ApiObject } from '../../src/playground/types.ts';

const object = (labels: Record<string, string>, more: object = {}): ApiObject =>
  ({ metadata: { name: 'one', namespace: 'shop', labels }, ...more }) as unknown as ApiObject;

describe('label selectors', () => {
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web', true],
    ['app!=web', false],
    ['app=api', false],
    ['other!=x', true],
    ['app', true],
    ['!app', false],
    ['!other', true],
    ['app in (web, api)', true],
    ['app notin (web)', false],
    ['other notin (x)', true],
    ['app=web,tier in (a,b),!other', true],
    ['app=web,tier=c', false],
    ['kt.dev/role=egress', true],
    ['empty=', true],
  ])('%s: %s', (text, expected) => {
    expect(parseLabelSelector(text)(object({ app: 'web', tier: 'a', 'kt.dev/role': 'egress', empty: '' }))).toBe(
      expected,
    );
  });

  test('what it cannot read is refused in the words of Kubernetes', () => {
    expect(() => parseLabelSelector('a b c')).toThrow(
      "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    );
  });

  test('no text makes it throw anything but a refusal, or run long', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        try {
          parseLabelSelector(text)(object({}));
        } catch (error) {
          expect((error as Error).name).toBe('ApiError');
        }
      }),
    );
  });

  test('an empty selector of a Service matches nothing', () => {
    expect(matchesLabels(undefined, { a: 'b' })).toBe(false);
    expect(matchesLabels({}, { a: 'b' })).toBe(false);
    expect(matchesLabels({ a: 'b' }, { a: 'b', c: 'd' })).toBe(true);
    expect(matchesLabels({ a: 'b' }, undefined)).toBe(false);
  });
});

describe('field selectors', () => {
  test.each([
    ['metadata.name=one', true],
    ['metadata.name!=one', false],
    ['metadata.namespace=shop,status.phase=Running', true],
    ['status.phase=Pending', false],
    ['spec.nodeName=', true],
  ])('%s: %s', (text, expected) => {
    expect(parseFieldSelector(PODS, text)(object({}, { status: { phase: 'Running' } }))).toBe(expected);
  });

  test('a field that Kubernetes would not select by either is refused', () => {
    expect(() => parseFieldSelector(PODS, 'foo=bar')).toThrow('field label not supported: foo');
    expect(() => parseFieldSelector(SERVICES, 'status.phase=x')).toThrow('field label not supported: status.phase');
    expect(() => parseFieldSelector(PODS, 'nothing')).toThrow('invalid selector');
  });
});
