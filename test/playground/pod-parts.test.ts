// The parts of a pod that need no process: command lines, logs, routes of requests, tables.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PODS } from '../../src/playground/api/resources.ts';
import { parseRoute } from '../../src/playground/api/route.ts';
import { age, podReason, toTable } from '../../src/playground/api/table.ts';
import { commandOf, expand, isNodeImage } from '../../src/playground/pods/command.ts';
import { LogBuffer } from '../../src/playground/pods/log-buffer.ts';
import { Store } from '../../src/playground/store.ts';
import type { Container, Pod } from '../../src/playground/types.ts';

const pod = { metadata: { name: 'p', namespace: 'shop', uid: 'u' }, spec: { containers: [] } } as unknown as Pod;
const command = (container: object): ReturnType<typeof commandOf> =>
  commandOf(new Store(), pod, container as Container, '198.18.64.16', [['/app', '/tmp/x']]);

describe('command lines', () => {
  test.each([
    [{ command: ['node', 'a.js'] }, ['a.js']],
    [{ command: ['/usr/local/bin/node', '/app/a.js', '/apple'] }, ['/tmp/x/a.js', '/apple']],
    [{ args: ['-e', '1'] }, ['-e', '1']],
    [{ args: ['node', '-p', '1'] }, ['-p', '1']],
    [{ args: ['main.mjs'] }, ['main.mjs']],
    [{}, []],
    [{ command: ['node'], args: ['$(A)', '$(B)', '$$(A)'], env: [{ name: 'A', value: 'x' }] }, ['x', '$(B)', '$(A)']],
  ])('%j', (container, args) => {
    expect(command(container).args).toEqual(args);
  });

  test.each([['sh', '-c'], ['curl'], ['node-like']])('%s is not there', (...parts) => {
    expect(() => command({ command: parts })).toThrow(`exec: "${parts[0]}": executable file not found in $PATH`);
  });

  test('long code goes to stdin, long variables to a file; a long line without code is refused', () => {
    const code = 'x'.repeat(10_000);
    expect(command({ command: ['node', '--no-warnings', '-e', code, 'a'] })).toMatchObject({
      args: ['--no-warnings', '-', 'a'],
      stdin: code,
    });
    // Here -e belongs to the script, not to node.
    expect(command({ command: ['node', 'a.js', '-e', code] }).stdin).toBeUndefined();
    const long = command({
      command: ['node'],
      env: [
        { name: 'L', value: code },
        { name: 'S', value: 's' },
      ],
    });
    expect(long).toMatchObject({ env: { S: 's' }, longEnv: { L: code } });
    expect(() => command({ command: ['node', 'a.js', 'x'.repeat(40_000)] })).toThrow('argument list too long');
  });

  test('images', () => {
    for (const image of [
      'node',
      'node:24-slim',
      'docker.io/library/node:22',
      'registry.corp:5000/hub/node:20',
      'node@sha256:abc',
    ])
      expect(isNodeImage(image)).toBe(true);
    for (const image of ['nginx', 'nodejs:1', 'node/extra', 'my-node:1', 'node:1/x'])
      expect(isNodeImage(image)).toBe(false);
  });

  test('expansion leaves every text without a known variable as it is', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('$')),
        (text) => expand(text, { A: '1' }) === text,
      ),
    );
    expect(expand('$(__proto__) $(constructor)', {})).toBe('$(__proto__) $(constructor)');
  });
});

describe('logs', () => {
  test('any chunks make the same text, and the limit holds', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (chunks) => {
        const log = new LogBuffer();
        for (const chunk of chunks) log.append(chunk);
        log.end();
        return (
          log
            .lines()
            .map((line) => line.text)
            .join('') === chunks.join('')
        );
      }),
    );
    const log = new LogBuffer();
    for (let index = 0; index < 100; index += 1) log.append('y'.repeat(10_000));
    expect(log.lines().reduce((sum, line) => sum + line.text.length, 0)).toBeLessThanOrEqual(256 * 1024);
    expect(Math.max(...log.lines().map((line) => line.text.length))).toBeLessThanOrEqual(16 * 1024);
  });

  test('a follower gets each line and the end, also when it comes late', () => {
    const log = new LogBuffer();
    const seen: (string | undefined)[] = [];
    const stop = log.follow((line) => seen.push(line?.text));
    log.append('a\nb');
    log.append('c\n');
    stop();
    log.append('d\n');
    log.end();
    expect(seen).toEqual(['a\n', 'bc\n']);
    const late: unknown[] = [];
    log.follow((line) => late.push(line));
    expect(late).toEqual([undefined]);
    expect(log.ended).toBe(true);
  });
});

describe('routes of requests', () => {
  test.each([
    [
      'GET',
      '/api/v1/namespaces/shop/pods/p/log?tailLines=1',
      { verb: 'get', namespace: 'shop', name: 'p', subresource: 'log' },
    ],
    ['GET', '/api/v1/namespaces/shop/pods', { verb: 'list', namespace: 'shop' }],
    ['GET', '/api/v1/pods?watch=true', { verb: 'watch' }],
    ['GET', '/api/v1/namespaces/shop', { verb: 'get', name: 'shop' }],
    ['GET', '/api/v1/namespaces', { verb: 'list' }],
    ['PUT', '/api/v1/namespaces/shop/status', { verb: 'update', name: 'shop', subresource: 'status' }],
    ['DELETE', '/apis/apps/v1/namespaces/shop/deployments', { verb: 'deletecollection', namespace: 'shop' }],
    ['PATCH', '/apis/apps/v1/namespaces/shop/deployments/d/scale', { verb: 'patch', name: 'd', subresource: 'scale' }],
    ['POST', '/api/v1/namespaces/shop/pods', { verb: 'create' }],
  ])('%s %s', (method, url, expected) => {
    expect(parseRoute(method, url)).toMatchObject(expected);
  });

  test('what is no resource is a path; nothing makes it throw', () => {
    for (const url of ['/', '/version', '/api', '/apis/apps', '/apis/apps/v1', '/%zz', '//', '/api/v1/%E0%A4%A'])
      expect(parseRoute('GET', url).resource).toBeUndefined();
    fc.assert(fc.property(fc.string(), fc.string(), (method, url) => parseRoute(method, url) !== undefined));
  });
});

describe('tables', () => {
  test('ages', () => {
    const now = Date.parse('2030-01-10T00:00:00Z');
    const at = (seconds: number): string => age(new Date(now - seconds * 1000).toISOString(), now);
    expect([5, 119, 120, 7_199, 7_200, 172_799, 172_800].map(at)).toEqual([
      '5s',
      '119s',
      '2m',
      '119m',
      '2h',
      '47h',
      '2d',
    ]);
    expect(age(undefined)).toBe('<unknown>');
  });

  test('the word for a pod', () => {
    const state = (status: object, more: object = {}): string =>
      podReason({ metadata: {}, status, ...more } as unknown as Pod);
    expect(state({ phase: 'Running' })).toBe('Running');
    expect(
      state({ phase: 'Pending', containerStatuses: [{ state: { waiting: { reason: 'ImagePullBackOff' } } }] }),
    ).toBe('ImagePullBackOff');
    expect(state({ phase: 'Failed', reason: 'DeadlineExceeded' })).toBe('DeadlineExceeded');
    expect(state({ phase: 'Running' }, { metadata: { deletionTimestamp: 'x' } })).toBe('Terminating');
    expect(toTable(PODS, [], '5')).toMatchObject({ kind: 'Table', rows: [], metadata: { resourceVersion: '5' } });
  });
});
