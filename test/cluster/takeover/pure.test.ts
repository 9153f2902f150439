// The parts of a take-over that are pure: ports, journal, patches, names. What the cluster makes of them is test/e2e/exchange.test.ts.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { takePatch } from '../../../src/cluster/takeover/apply.ts';
import { encodeJournal, journalOf, newJournal, withoutScaled } from '../../../src/cluster/takeover/journal.ts';
import {
  agentLabels,
  ingressDeployment,
  manualAgent,
  nameFor,
  originService,
} from '../../../src/cluster/takeover/manifests.ts';
import { selects } from '../../../src/cluster/takeover/objects.ts';
import { listenPorts, servesAll, takenPorts } from '../../../src/cluster/takeover/ports.ts';
import { restorePatch } from '../../../src/cluster/takeover/restore.ts';
import { leadsToAgent, ownSelector, type Selector } from '../../../src/cluster/takeover/selector.ts';
import type { ServiceObject, TakeoverPlan } from '../../../src/cluster/takeover/types.ts';

const SERVICE: ServiceObject = {
  metadata: { name: 'orders', uid: 'u-1', resourceVersion: '7', annotations: { 'team/owner': 'shop' } },
  spec: {
    selector: { app: 'orders', tier: 'web' },
    ports: [
      { name: 'web', port: 80, targetPort: 'http' },
      { name: 'admin', port: 9000, targetPort: 8080 },
      { name: 'dns', port: 53, targetPort: 53, protocol: 'UDP' },
    ],
  },
};
const LISTENS = listenPorts('orders', SERVICE.spec.ports ?? [], new Map([['http', 8080]]));
const OWNER = { session: 's1', user: 'anna', host: 'pc', version: '1.0.0' };
const PLAN: TakeoverPlan = {
  kind: 'exchange',
  namespace: 'shop',
  service: 'orders',
  original: SERVICE,
  selector: SERVICE.spec.selector ?? {},
  ports: [],
  listens: LISTENS,
  linkPort: 7070,
  healthPort: 7071,
  joins: false,
  drain: false,
  steps: [],
  warnings: [],
};

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = typeof target === 'object' && target !== null ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

describe('ports', () => {
  test('service port or target port, number or name; all TCP ports without a word', () => {
    const taken = (...remotes: string[]): unknown =>
      takenPorts(
        'orders',
        LISTENS,
        remotes.map((remote) => ({ remote })),
      ).map(({ servicePort, local }) => [servicePort, local]);
    expect(taken()).toEqual([
      [80, 8080],
      [9000, 8080],
    ]);
    expect(taken('80', 'admin', 'http', '8080', 'dns')).toEqual([
      [80, 8080],
      [9000, 8080],
      [80, 8080],
      [80, 8080],
      [53, 53],
    ]);
    expect(() => taken('81')).toThrow(
      "orders has no port '81': it has 80 (web) → 8080, 9000 (admin) → 8080, 53 (dns) UDP",
    );
  });

  test('a target port whose name is in no pod, and SCTP, are refused', () => {
    expect(() => listenPorts('orders', SERVICE.spec.ports ?? [], new Map())).toThrow(
      "no pod of orders has a container port named 'http'",
    );
    expect(() => listenPorts('x', [{ port: 1, protocol: 'SCTP' }], new Map())).toThrow('SCTP');
  });
});

const SELECTOR = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,5})?$/), fc.stringMatching(/^[a-z]{0,8}$/), {
  minKeys: 1,
  maxKeys: 5,
});

/** Of the agent's pods. */
function podLabels(plan: TakeoverPlan): Record<string, string> {
  const deployment = ingressDeployment(plan, OWNER, { code: 'code', origin: '10.0.0.1' }) as {
    spec: { template: { metadata: { labels: Record<string, string> } } };
  };
  return deployment.spec.template.metadata.labels;
}

/** Three-way, as `kubectl apply` and `helm upgrade` do: what the manifest says is set, what only the last one said goes, all else stays. */
const applied = (live: Selector, last: Selector, manifest: Selector): Selector => ({
  ...Object.fromEntries(Object.entries(live).filter(([key]) => !Object.hasOwn(last, key))),
  ...manifest,
});

describe('redeploys of a taken Service', () => {
  test('whatever the next manifest selects, that is what is selected: never a mixture with ours, which chooses no pod', () => {
    fc.assert(
      fc.property(SELECTOR, SELECTOR, (before, manifest) => {
        const service: ServiceObject = { ...SERVICE, spec: { ...SERVICE.spec, selector: before } };
        const taken = mergePatch(service, takePatch(service, { ...PLAN, original: service }, OWNER)) as ServiceObject;
        expect(applied(taken.spec.selector ?? {}, before, manifest)).toEqual(manifest);
      }),
    );
  });

  test('taken again, the agent is chosen, and what is restored is what the redeploy wrote', () => {
    fc.assert(
      fc.property(SELECTOR, SELECTOR, (before, manifest) => {
        const service: ServiceObject = { ...SERVICE, spec: { ...SERVICE.spec, selector: before } };
        const plan = { ...PLAN, original: service };
        const redeployed: ServiceObject = { ...SERVICE, spec: { ...SERVICE.spec, selector: manifest } };
        const own = ownSelector(redeployed, before);
        const again = mergePatch(redeployed, takePatch(redeployed, plan, OWNER, own)) as ServiceObject;
        expect(selects(again.spec.selector, podLabels(plan))).toBe(true);
        expect(leadsToAgent(again)).toBe(true);
        expect((mergePatch(again, restorePatch(again, own)) as ServiceObject).spec.selector).toEqual(manifest);
      }),
    );
  });

  test('a mixture all the same (somebody set one key of two by hand) is not ours, and is made whole', () => {
    const mixed: ServiceObject = {
      ...SERVICE,
      spec: { ...SERVICE.spec, selector: { app: 'orders', tier: 'orders-kt-ingress', 'kt/role': 'ingress' } },
    };
    expect(leadsToAgent(mixed)).toBe(false);
    expect(ownSelector(mixed, { app: 'orders', tier: 'web' })).toEqual({ app: 'orders', tier: 'web' });
  });

  test('ports: the agent serves those that it listens on, by number, name and protocol', () => {
    const ports = SERVICE.spec.ports ?? [];
    expect(servesAll(LISTENS, ports)).toBe(true);
    expect(servesAll(LISTENS, ports.slice(1))).toBe(true);
    expect(servesAll(LISTENS, [{ port: 81, targetPort: 8080 }])).toBe(true);
    for (const other of [{ port: 80, targetPort: 'metrics' }, { port: 80 }, { port: 53, targetPort: 53 }])
      expect(servesAll(LISTENS, [...ports, other])).toBe(false);
  });
});

describe('patches', () => {
  test('taking and giving back leaves the Service as it was, whatever its selector', () => {
    fc.assert(
      fc.property(SELECTOR, (labels) => {
        const before: ServiceObject = { ...SERVICE, spec: { ...SERVICE.spec, selector: labels } };
        const plan = { ...PLAN, original: before };
        const taken = mergePatch(before, takePatch(before, plan, OWNER)) as ServiceObject;
        expect(selects(taken.spec.selector, podLabels(plan))).toBe(true);
        expect(selects(before.spec.selector, podLabels(plan))).toBe(false);
        expect(leadsToAgent(taken)).toBe(true);
        expect(leadsToAgent(before)).toBe(false);
        const journal = journalOf(taken);
        if (journal === undefined || journal === 'unreadable') throw new Error('no journal');
        expect(mergePatch(taken, restorePatch(taken, journal.selector))).toEqual(before);
      }),
    );
  });

  test('E6: a selector that a redeploy wrote meanwhile is the one that stays', () => {
    const taken = mergePatch(SERVICE, takePatch(SERVICE, PLAN, OWNER)) as ServiceObject;
    const redeployed: ServiceObject = { ...taken, spec: { ...taken.spec, selector: { app: 'orders-v2' } } };
    const restored = mergePatch(redeployed, restorePatch(redeployed, { app: 'orders', tier: 'web' })) as ServiceObject;
    expect(restored.spec.selector).toEqual({ app: 'orders-v2' });
    expect(journalOf(restored)).toBeUndefined();
  });
});

describe('manifests', () => {
  test('the origin has the selector and ports; the agent listens for each target port once, by name where the Service does', () => {
    expect(originService(PLAN, OWNER)).toMatchObject({
      metadata: { name: 'orders-kt-origin', ownerReferences: [{ name: 'orders', uid: 'u-1' }] },
      spec: { selector: SERVICE.spec.selector, ports: SERVICE.spec.ports },
    });
    const deployment = JSON.stringify(ingressDeployment(PLAN, OWNER, { code: 'code', origin: '10.0.0.1' }));
    expect(deployment).toContain('{"name":"http","containerPort":8080,"protocol":"TCP"}');
    // Port 53 needs it.
    expect(deployment).toContain('net.ipv4.ip_unprivileged_port_start');
    const config = JSON.parse(
      (
        JSON.parse(deployment) as {
          spec: { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
        }
      ).spec.template.spec.containers[0]?.env.find(({ name }) => name === 'KT_INGRESS')?.value ?? '',
    );
    expect(config).toEqual({
      service: 'orders',
      origin: '10.0.0.1',
      healthPort: 7071,
      listeners: [
        { port: 8080, protocol: 'TCP', originPort: 80 },
        { port: 53, protocol: 'UDP', originPort: 53 },
      ],
    });
  });

  test('G2: labels and annotations that a policy asks for are on Deployment and pods, and never in place of those that choose them', () => {
    const labels = { team: 'shop', 'app.kubernetes.io/name': 'mine', ...agentLabels('another') };
    const made = ingressDeployment(PLAN, OWNER, {
      code: 'code',
      origin: '10.0.0.1',
      labels,
      annotations: { owner: 'anna', 'kt/user': 'x' },
    });
    const expected = { labels: { team: 'shop', ...agentLabels('orders') }, annotations: { owner: 'anna' } };
    expect(made).toMatchObject({
      metadata: { ...expected, annotations: { ...expected.annotations, 'kt/user': OWNER.user } },
      spec: { template: { metadata: expected } },
    });
  });

  test('names are DNS labels, also of long Services, and differ', () => {
    const names = ['a'.repeat(63), `${'a'.repeat(62)}b`].map((name) => nameFor(name, 'ingress'));
    expect(names.every((name) => /^[a-z0-9-]{1,63}$/.test(name))).toBe(true);
    expect(new Set(names).size).toBe(2);
  });
});

describe('manual mesh', () => {
  const { labels } = manualAgent('orders', 's1');
  const manual = { mark: { name: 'version', value: 'anna' }, agent: manualAgent('orders', 's1') };
  const made = ingressDeployment({ ...PLAN, manual }, OWNER, { code: 'code', origin: null }) as {
    readonly metadata: { readonly name: string; readonly labels: object };
    readonly spec: {
      readonly selector: { readonly matchLabels: object };
      readonly template: { readonly metadata: { readonly labels: Record<string, string> } };
    };
  };

  test('M7: its pods have the labels of the Service, the mark, and labels that only this session has', () => {
    expect(made.metadata.name).toBe('orders-kt-manual-s1');
    expect(made.spec.selector.matchLabels).toEqual(labels);
    expect(made.spec.template.metadata.labels).toMatchObject({ ...SERVICE.spec.selector, version: 'anna', ...labels });
    expect(JSON.stringify(made)).toContain('\\"standby\\":true');
  });

  test('M7: it is no agent of the Service: neither restoring nor a second session finds it', () => {
    expect(made.spec.template.metadata.labels).not.toMatchObject(agentLabels('orders'));
    expect(labels).not.toEqual(manualAgent('orders', 's2').labels);
  });
});

describe('journal', () => {
  test('garbage is unreadable, never an exception', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const service: ServiceObject = { ...SERVICE, metadata: { name: 'x', annotations: { 'kt/journal': text } } };
        expect(journalOf(service)).toBe('unreadable');
      }),
    );
    expect(journalOf(SERVICE)).toBeUndefined();
    const text = encodeJournal({
      v: 1,
      kind: 'mesh',
      selector: { a: 'b' },
      listens: [...LISTENS],
      linkPort: 7070,
      ...OWNER,
      at: 'now',
    });
    expect(journalOf({ ...SERVICE, metadata: { name: 'x', annotations: { 'kt/journal': text } } })).toMatchObject({
      kind: 'mesh',
    });
  });

  test('E7: the old number of pods is in it, and can be forgotten alone', () => {
    const scaled = [{ name: 'orders', replicas: 3 }];
    const text = newJournal({ ...PLAN, scaled }, OWNER, { app: 'orders' });
    const taken: ServiceObject = { ...SERVICE, metadata: { name: 'orders', annotations: { 'kt/journal': text } } };
    const journal = journalOf(taken);
    if (journal === undefined || journal === 'unreadable') throw new Error('no journal');
    expect(journal.scaled).toEqual(scaled);
    const after = journalOf(mergePatch(taken, withoutScaled(taken, journal)) as ServiceObject);
    const { scaled: _, ...rest } = journal;
    expect(after).toEqual(rest);
  });
});
