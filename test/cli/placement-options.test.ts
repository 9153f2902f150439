// G2: where an agent runs and with what: kt-connect's flags, read strictly.
import { describe, expect, test } from 'vitest';
import { placement } from '../../src/cli/placement-options.ts';
import { agentPodSpec } from '../../src/cluster/agent-pod.ts';

describe('--podQuota', () => {
  test.each([
    ['0.5c,512m', { cpu: '0.5', memory: '512Mi' }],
    ['2C', { cpu: '2' }],
    ['1g', { memory: '1024Mi' }],
    ['1.5g, 1c', { cpu: '1', memory: '1536Mi' }],
    ['262144k', { memory: '256Mi' }],
  ])('%s', (podQuota, resources) => expect(placement({ podQuota }).resources).toEqual(resources));

  test.each([
    ['512', 'takes cores and memory'],
    ['0.5c,', 'takes cores and memory'],
    ['0c', 'takes cores and memory'],
    ['-1c', 'takes cores and memory'],
    ['64m', 'an agent needs 128m of memory'],
    ['1e9g', 'takes cores and memory'],
  ])('%s is refused', (podQuota, message) =>
    expect(() => placement({ podQuota })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message) as string }),
    ),
  );
});

test('labels of kt/ are not to be had', () =>
  expect(() => placement({ withLabel: 'team=shop,kt/role=egress' })).toThrow("can't set 'kt/role'"));

test('nothing given: the usual size, and the image that the node has', () => {
  const spec = agentPodSpec({ ...placement({}), code: '', env: {}, restartPolicy: 'Never', graceSeconds: 1 });
  expect(spec).toMatchObject({
    containers: [
      {
        imagePullPolicy: 'IfNotPresent',
        resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '1', memory: '256Mi' } },
      },
    ],
  });
  expect(spec).not.toHaveProperty('serviceAccountName');
});

test('--forceUpdate asks the registry', () => {
  const spec = agentPodSpec({
    ...placement({ forceUpdate: true }),
    code: '',
    env: {},
    restartPolicy: 'Never',
    graceSeconds: 1,
  });
  expect(spec).toMatchObject({ containers: [{ imagePullPolicy: 'Always' }] });
});
