// M2: the forms of a mark, and what is refused before anything happens.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { advertised, holdRequests, markOf, runRequests } from '../../src/cli/hold-options.ts';
import { parseExpose } from '../../src/cluster/takeover/ports.ts';

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

describe('E7, E8, M7: modes', () => {
  const modeOf = (kind: 'exchange' | 'mesh' | 'preview', args: object): unknown =>
    holdRequests({ target: ['a'], expose: ['80'], ...args }, kind).map(({ mode, recoverWaitMs }) => [
      mode,
      recoverWaitMs,
    ]);

  test.each([
    ['exchange', {}, 'selector'],
    ['exchange', { mode: 'scale' }, 'scale'],
    ['mesh', { mode: 'auto' }, 'selector'],
    ['mesh', { mode: 'manual' }, 'manual'],
    ['preview', { mode: 'auto' }, 'selector'],
  ] as const)('%s %j', (kind, args, mode) => expect(modeOf(kind, args)).toEqual([[mode, 120_000]]));

  test('seconds to wait for the pods', () => {
    expect(modeOf('exchange', { mode: 'scale', recoverWaitTime: 7 })).toEqual([['scale', 7_000]]);
    for (const recoverWaitTime of [-1, 1.5, Number.NaN, 3_601])
      expect(() => modeOf('exchange', { recoverWaitTime })).toThrow('--recoverWaitTime takes');
  });

  test.each([
    ['exchange', 'ephemeral', '`kt preview`'],
    ['exchange', 'manual', undefined],
    ['mesh', 'scale', undefined],
    ['mesh', 'toString', undefined],
  ] as const)('%s --mode %s is refused', (kind, mode, hint) =>
    expect(() => modeOf(kind, { mode })).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        hint: hint === undefined ? undefined : (expect.stringContaining(hint) as string),
      }),
    ),
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

  test('any text is a list of ports or a clear error; what is written out is read back', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-z:,/ ]{0,20}$/)), (text) => {
        try {
          for (const { remote, local, protocol } of parseExpose([text])) {
            expect(remote).toMatch(/^[^:,/]+$/);
            const words = `${local ?? ''}${local === undefined ? '' : ':'}${remote}${protocol ? `/${protocol}` : ''}`;
            expect(parseExpose([words])).toEqual([
              { remote, ...(local === undefined ? {} : { local }), ...(protocol ? { protocol } : {}) },
            ]);
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'USAGE' });
        }
      }),
    );
  });

  test.each([
    { target: [] },
    { target: ['a'], expose: ['1:2:3'] },
    { target: ['a'], expose: ['0:80'] },
    { target: ['a'], expose: ['x:80'] },
    { target: ['a'], expose: ['80/icmp'] },
    { target: ['a'], expose: ['80/udp/udp'] },
  ])('%j is refused', (args) =>
    expect(() => holdRequests(args, 'exchange')).toThrow(expect.objectContaining({ code: 'USAGE' })),
  );
});

describe('--advertise', () => {
  test('is a preview, and names the port that registries are told', () => {
    const args = { advertise: ['orders-anna:8080:80'] };
    expect(runRequests(args)).toMatchObject([
      { kind: 'preview', target: 'orders-anna', ports: [{ local: 8080, remote: '80' }] },
    ]);
    expect(advertised(args)).toEqual({ service: 'orders-anna', port: 80 });
    expect(advertised({})).toBeUndefined();
  });

  test.each([['orders-anna'], [':80'], ['a:x'], ['a:1', 'b:2']])('%s is refused', (...texts) => {
    expect(() => advertised({ advertise: texts })).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
