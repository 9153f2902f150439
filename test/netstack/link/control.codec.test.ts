import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AgentLine,
  encodeLine,
  type LaptopLine,
  parseAgentLine,
  parseLaptopLine,
  RULES_MAX,
} from '../../../src/netstack/link/control.codec.ts';

const header = { kind: 'header', name: 'VERSION', value: 'anna' } as const;
const rule = { id: 'r1', port: 8080, protocol: 'TCP', match: { kind: 'all' } } as const;

describe('lines of the control stream', () => {
  test.each<LaptopLine>([
    { type: 'look', seq: 0 },
    { type: 'seal', seq: 2 },
    { type: 'retire', seq: 3 },
    { type: 'leave', seq: 7 },
    { type: 'leave', seq: 7, session: 'ab12' },
    { type: 'rules', seq: 1, rules: [], takeOver: false },
    { type: 'rules', seq: 2, rules: [rule, { ...rule, id: 'r2', protocol: 'UDP', match: header }], takeOver: true },
  ])('of the laptop come back as they were: %j', (line) => {
    expect(encodeLine(line).endsWith('\n')).toBe(true);
    expect(parseLaptopLine(encodeLine(line))).toEqual(line);
  });

  test.each<AgentLine>([
    { type: 'hello', version: '1.0.0', node: 'v24.0.0', clockMs: 5 },
    { type: 'drain' },
    {
      type: 'done',
      seq: 1,
      holders: [{ session: 's', user: 'anna', host: 'pc', heldMs: 3, live: true, rules: [rule] }],
    },
    { type: 'refused', seq: 1, code: 'LINK_PROTOCOL', message: 'held by anna' },
    { type: 'evicted', by: 'ben', rules: ['r1'] },
  ])('of the agent come back as they were: %j', (line) => {
    expect(parseAgentLine(encodeLine(line))).toEqual(line);
  });

  test.each([
    '{"type":"rules","seq":1,"rules":[{"id":"r","port":0,"protocol":"TCP","match":{"kind":"all"}}]}',
    '{"type":"rules","seq":1,"rules":[{"id":"r","port":1,"protocol":"SCTP","match":{"kind":"all"}}]}',
    '{"type":"rules","seq":1,"rules":[{"id":"r","port":1,"protocol":"TCP","match":{"kind":"header","name":"a b","value":"x"}}]}',
    '{"type":"rules","seq":1,"rules":[{"id":"r","port":1,"protocol":"TCP","match":{"kind":"header","name":"a","value":"x\\r\\nb: c"}}]}',
    `{"type":"rules","seq":1,"rules":${JSON.stringify(Array.from({ length: RULES_MAX + 1 }, () => rule))}}`,
    '{"type":"rules","seq":-1,"rules":[]}',
    '{"type":"later","seq":1}',
    'null',
    '',
  ])('a line that can not be meant: %s', (line) => {
    expect(parseLaptopLine(line)).toBeUndefined();
  });

  test('an error code of a newer agent', () => {
    expect(parseAgentLine('{"type":"refused","seq":1,"code":"LATER","message":"m"}')).toMatchObject({
      code: 'LINK_PROTOCOL',
    });
  });

  test('garbage never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        parseLaptopLine(line);
        parseAgentLine(line);
      }),
    );
  });
});
