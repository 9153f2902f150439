// Who holds what at an ingress agent: the clash of rules, their lease, and that no order of events lets two laptops hold the same traffic.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Registry, RULES_HELD_MS, SEALED_MS } from '../../../src/agent/ingress/registry.machine.ts';
import type { Match, Rule } from '../../../src/netstack/link/control.codec.ts';

const ALL: Match = { kind: 'all' };
const mark = (name: string, value: string): Match => ({ kind: 'header', name, value });
const rule = (match: Match, port = 80, protocol: 'TCP' | 'UDP' = 'TCP', id = 'r'): Rule => ({
  id,
  port,
  protocol,
  match,
});
const headers =
  (fields: Record<string, string>) =>
  (name: string): string | undefined =>
    fields[name];

class World {
  now = 0;
  readonly registry = new Registry(() => this.now);

  up(session: string, token = `token of ${session}`): void {
    this.registry.linkUp({ session, tokenSha256: token, user: session, host: 'laptop' });
  }
}

function world(...sessions: string[]): World {
  const made = new World();
  for (const session of sessions) made.up(session);
  return made;
}

describe('clash', () => {
  test.each<[string, Rule, Rule, boolean]>([
    ['everything and everything', rule(ALL), rule(ALL), true],
    ['everything and a mark', rule(ALL), rule(mark('a', '1')), true],
    ['the same mark', rule(mark('a', '1')), rule(mark('a', '1')), true],
    ['the same name in other letters', rule(mark('X-Dev', '1')), rule(mark('x-dev', '1')), true],
    ['values are what they are', rule(mark('a', 'Anna')), rule(mark('a', 'anna')), false],
    ['another name', rule(mark('a', '1')), rule(mark('b', '1')), false],
    ['another port', rule(ALL, 80), rule(ALL, 81), false],
    ['another protocol', rule(ALL, 53, 'TCP'), rule(ALL, 53, 'UDP'), false],
  ])('%s', (_name, ours, theirs, clash) => {
    for (const [first, second] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      const { registry } = world('anna', 'ben');
      registry.setRules('anna', [first]);
      const ask = (): unknown => registry.setRules('ben', [second]);
      if (clash) expect(ask).toThrow(/^anna on laptop holds /);
      else expect(ask()).toEqual([]);
    }
  });

  test('taking over drops only what clashes, and names who lost what', () => {
    const { registry } = world('anna', 'ben');
    registry.setRules('anna', [rule(mark('a', '1'), 80, 'TCP', 'one'), rule(mark('a', '1'), 81, 'TCP', 'two')]);
    expect(registry.setRules('ben', [rule(ALL)], true)).toEqual([{ session: 'anna', rules: ['one'] }]);
    expect(registry.holders().map(({ user, rules }) => [user, rules.map(({ id }) => id)])).toEqual([
      ['anna', ['two']],
      ['ben', ['r']],
    ]);
  });

  test('one’s own rules are replaced, not compared', () => {
    const { registry } = world('anna');
    registry.setRules('anna', [rule(ALL)]);
    expect(registry.setRules('anna', [rule(mark('a', '1'))])).toEqual([]);
    expect(registry.match(80, 'TCP', undefined)).toBe(undefined);
    expect(registry.match(80, 'TCP', headers({ a: '1' }))).toEqual({ session: 'anna', rule: 'r' });
  });
});

describe('lease', () => {
  test('without a link rules match nothing, and are reserved for as long as they say', () => {
    const made = world('anna', 'ben');
    const { registry } = made;
    registry.setRules('anna', [rule(ALL)]);
    registry.linkDown('anna');
    expect(registry.match(80, 'TCP', undefined)).toBe(undefined);
    made.now += RULES_HELD_MS;
    expect(() => registry.setRules('ben', [rule(ALL)])).toThrow('whose laptop does not answer now');
    made.up('anna');
    expect(registry.match(80, 'TCP', undefined)).toEqual({ session: 'anna', rule: 'r' });
    registry.linkDown('anna');
    made.now += RULES_HELD_MS + 1;
    expect(registry.setRules('ben', [rule(ALL)])).toEqual([]);
    expect(registry.holders().map(({ session }) => session)).toEqual(['ben']);
  });

  test('M7: live: rules and a link, both', () => {
    const { registry } = world('a');
    expect(registry.live()).toBe(false);
    registry.setRules('a', [rule(ALL)]);
    expect(registry.live()).toBe(true);
    registry.linkDown('a');
    expect(registry.live()).toBe(false);
  });

  test('one of two links is enough', () => {
    const made = world('anna');
    made.up('anna');
    made.registry.setRules('anna', [rule(ALL)]);
    made.registry.linkDown('anna');
    expect(made.registry.match(80, 'TCP', undefined)).toBeDefined();
  });

  test('a session is its first token’s while it holds something', () => {
    const made = world('anna');
    expect(() => made.up('anna', 'another')).toThrow('this session belongs to another token');
    made.registry.setRules('anna', [rule(ALL)]);
    made.registry.linkDown('anna');
    expect(() => made.up('anna', 'another')).toThrow('this session belongs to another token');
    made.now += RULES_HELD_MS + 1;
    made.up('anna', 'another');
  });

  test('limits: sessions, and the length of their ids', () => {
    const made = world(...Array.from({ length: 64 }, (_, index) => `session ${index}`));
    expect(() => made.up('one more')).toThrow('more than 64 sessions');
    made.registry.linkDown('session 0');
    made.up('one more');
    expect(() => made.up('x'.repeat(65))).toThrow('too long');
  });
});

describe('no rules', () => {
  test('for a port that nobody listens on: they would hold nothing, and say so to nobody', () => {
    const registry = new Registry(
      () => 0,
      (port, protocol) => port === 80 && protocol === 'TCP',
    );
    registry.linkUp({ session: 'anna', tokenSha256: 'x', user: 'anna', host: 'laptop' });
    for (const stray of [rule(ALL, 81), rule(ALL, 80, 'UDP')]) {
      expect(() => registry.setRules('anna', [rule(ALL, 80), stray])).toThrow(
        `the agent does not listen on the ${stray.protocol} port ${stray.port}`,
      );
    }
    expect(registry.holders()).toEqual([]);
    registry.setRules('anna', [rule(ALL, 80)]);
    expect(registry.match(80, 'TCP', undefined)).toBeDefined();
  });

  test('of a session that left, which another link of it said just before', () => {
    const made = world('anna', 'ben');
    made.up('anna');
    made.registry.setRules('anna', [rule(ALL)]);
    made.registry.leave('anna');
    expect(() => made.registry.setRules('anna', [rule(ALL)])).toThrow('gave its rules up');
    expect(made.registry.setRules('ben', [rule(ALL)])).toEqual([]);
  });

  test('while the Service is given back; and if whoever does it dies, again after a minute', () => {
    const made = world('anna', 'ben');
    made.registry.setRules('anna', [rule(ALL)]);
    expect(() => made.registry.seal()).toThrow('anna on laptop holds rules here');
    made.registry.leave('anna');
    made.registry.seal();
    expect(() => made.registry.setRules('ben', [rule(ALL)])).toThrow('is being given back');
    expect(made.registry.setRules('ben', [])).toEqual([]);
    made.now += SEALED_MS;
    expect(made.registry.setRules('ben', [rule(ALL)])).toEqual([]);
  });
});

test('whatever happens in whatever order: nobody gets what another live laptop holds, and only live ones get anything', () => {
  const session = fc.constantFrom('anna', 'ben', 'carl');
  const match = fc.constantFrom(ALL, mark('a', '1'), mark('A', '1'), mark('a', '2'));
  const rules = fc.array(
    fc.record({
      id: fc.constantFrom('x', 'y'),
      port: fc.constantFrom(80, 81),
      protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
      match,
    }),
    { maxLength: 3 },
  );
  const event = fc.oneof(
    fc.record({ do: fc.constant('up' as const), session }),
    fc.record({ do: fc.constant('down' as const), session }),
    fc.record({ do: fc.constant('rules' as const), session, rules, takeOver: fc.boolean() }),
    fc.record({ do: fc.constant('leave' as const), session }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1_000, RULES_HELD_MS + 1) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const made = new World();
      const links = new Map<string, number>();
      const left = new Set<string>();
      const count = (id: string): number => links.get(id) ?? 0;
      for (const one of events) {
        if (one.do === 'wait') made.now += one.ms;
        else if (one.do === 'up') {
          made.up(one.session);
          links.set(one.session, count(one.session) + 1);
        } else if (one.do === 'down' && count(one.session) > 0) {
          made.registry.linkDown(one.session);
          links.set(one.session, count(one.session) - 1);
          if (count(one.session) === 0) left.delete(one.session);
        } else if (one.do === 'leave') {
          made.registry.leave(one.session);
          if (count(one.session) > 0) left.add(one.session);
        } else if (one.do === 'rules' && count(one.session) > 0) {
          try {
            made.registry.setRules(one.session, one.rules, one.takeOver);
          } catch (error) {
            const gone = left.has(one.session);
            expect(error).toMatchObject({ code: gone ? 'LINK_LOST' : 'SERVICE_HELD' });
            expect(gone || !one.takeOver).toBe(true);
          }
        }
        const holders = made.registry.holders();
        for (const holder of holders) expect(holder.live).toBe(count(holder.session) > 0);
        for (const port of [80, 81])
          for (const protocol of ['TCP', 'UDP'] as const) {
            const on = holders.flatMap(({ session: id, rules: held }) =>
              held
                .filter((held) => held.port === port && held.protocol === protocol)
                .map((held) => ({ id, match: held.match })),
            );
            const owners = (kind: string): Set<string> =>
              new Set(
                on
                  .filter(({ match: m }) => kind === 'any' || (m.kind === 'header' && m.value === kind))
                  .map(({ id }) => id),
              );
            if (on.some(({ match: m }) => m.kind === 'all')) expect(owners('any').size).toBe(1);
            for (const value of ['1', '2']) expect(owners(value).size).toBeLessThan(2);
            const claim = made.registry.match(port, protocol, headers({ a: '1' }));
            if (claim) expect(count(claim.session)).toBeGreaterThan(0);
          }
      }
    }),
  );
});
