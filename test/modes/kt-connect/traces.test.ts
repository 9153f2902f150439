// B1: what kt-connect itself did is read from its labels and annotations, as its source writes them (notes on v0.3.7).
import { describe, expect, test } from 'vitest';
import type { ServiceObject } from '../../../src/cluster/takeover/types.ts';
import {
  isKtConnectHelper,
  ktConnectConnectors,
  ktConnectState,
  type PodTrace,
} from '../../../src/modes/kt-connect/traces.ts';

const NOW = Date.parse('2026-01-01T00:10:00Z');

const service = (
  name: string,
  selector: Record<string, string>,
  annotations: Record<string, string> = {},
  labels: Record<string, string> = {},
): ServiceObject => ({ metadata: { name, annotations, labels }, spec: { selector, ports: [{ port: 80 }] } });

const shadow = (name: string, role: string, user: string, labels: Record<string, string> = {}): PodTrace => ({
  metadata: {
    name,
    creationTimestamp: '2026-01-01T00:00:00Z',
    labels: { 'control-by': 'kt', 'kt-role': role, ...labels },
    annotations: { 'kt-user': user, 'kt-last-heart-beat': '1767225900' },
  },
  status: { phase: 'Running' },
});

const KEPT = { 'kt-selector': '{"app":"orders"}' };

describe('state of a Service', () => {
  test('exchanged: by the user of the pod that its selector leads to', () => {
    const target = { 'control-by': 'kt', 'kt-role': 'shadow-exchange', 'kt-target': 'abc' };
    const taken = service('orders', target, KEPT);
    const pods = [
      shadow('orders-kt-exchange-x1', 'shadow-exchange', 'anna', { 'kt-target': 'abc' }),
      shadow('stock-kt-exchange-x2', 'shadow-exchange', 'ben', { 'kt-target': 'def' }),
    ];
    expect(ktConnectState(taken, pods, NOW)).toEqual({
      state: 'exchanged',
      by: [{ user: 'anna', host: null, mark: null, since: '2026-01-01T00:00:00Z', live: null, tool: 'kt-connect' }],
      notes: [],
    });
  });

  test('exchanged, and its pod is gone: left over', () => {
    const taken = service('orders', { 'kt-role': 'shadow-exchange', 'kt-target': 'abc' }, KEPT);
    expect(ktConnectState(taken, [], NOW)).toEqual({
      state: 'exchanged',
      by: [],
      notes: ["nobody's pod is there any more: `kt recover orders` gives it back, if nobody uses it"],
    });
  });

  test('meshed: by everybody who has a version', () => {
    const taken = service('orders', { 'control-by': 'kt', 'kt-role': 'router', 'kt-target': 'r' }, KEPT);
    const pods = [
      shadow('orders-kt-router', 'router', 'anna', { 'kt-target': 'r' }),
      shadow('orders-kt-mesh-v1', 'shadow-mesh', 'anna'),
      shadow('orders-kt-mesh-v2', 'shadow-mesh', 'ben'),
      shadow('stock-kt-mesh-v3', 'shadow-mesh', 'cleo'),
    ];
    const { state, by } = ktConnectState(taken, pods, NOW) ?? {};
    expect(state).toBe('meshed');
    expect(by?.map(({ user, mark }) => `${user}: ${mark}`)).toEqual(['anna: version v1', 'ben: version v2']);
  });

  test('meshed by hand: a pod with the labels of the Service, which itself says nothing', () => {
    const pods = [shadow('orders-kt-mesh-v1', 'shadow-mesh', 'anna', { app: 'orders', version: 'v1' })];
    const { state, by } = ktConnectState(service('orders', { app: 'orders' }), pods, NOW) ?? {};
    expect(state).toBe('meshed');
    expect(by?.map(({ user }) => user)).toEqual(['anna']);
  });

  test('previewing: a Service that kt-connect made', () => {
    const made = service('new', { 'kt-target': 'p' }, {}, { 'control-by': 'kt' });
    const pods = [shadow('new-kt-x1', 'shadow-preview', 'anna', { 'kt-target': 'p' })];
    expect(ktConnectState(made, pods, NOW)).toMatchObject({ state: 'previewing', by: [{ user: 'anna' }] });
  });

  test('untouched; locked now; an old lock', () => {
    const lock = (ageS: number): ServiceObject =>
      service('orders', { app: 'orders' }, { 'kt-lock': String(Math.round(NOW / 1000) - ageS) });
    expect(ktConnectState(service('orders', { app: 'orders' }), [], NOW)).toBeUndefined();
    expect(ktConnectState(lock(10), [], NOW)).toEqual({
      state: 'normal',
      by: [],
      notes: ['kt-connect is changing it right now (kt-lock)'],
    });
    expect(ktConnectState(lock(500), [], NOW)?.notes).toEqual(['an old lock of kt-connect is left on it']);
  });

  test('who it is is said to be unknown where pods may not be listed', () => {
    const taken = service('orders', { 'kt-role': 'shadow-exchange' }, KEPT);
    expect(ktConnectState(taken, undefined, NOW)).toEqual({
      state: 'exchanged',
      by: [],
      notes: ['pods may not be listed: who it is is not known'],
    });
  });
});

test('its helpers are no Services of the team', () => {
  const labels = { 'control-by': 'kt' };
  expect(isKtConnectHelper(service('orders-kt-stuntman', {}, {}, labels))).toBe(true);
  expect(isKtConnectHelper(service('orders-kt-mesh-v1', {}, {}, labels))).toBe(true);
  expect(isKtConnectHelper(service('new', {}, {}, labels))).toBe(false);
  expect(isKtConnectHelper(service('orders-kt-stuntman', {}))).toBe(false);
});

test('who is connected by kt-connect, with the last heartbeat', () => {
  const garbled = shadow('kt-connect-2', 'shadow-connect', 'ben');
  const pods = [
    shadow('kt-connect-1', 'shadow-connect', 'anna'),
    { ...garbled, metadata: { ...garbled.metadata, annotations: { 'kt-last-heart-beat': 'soon' } } },
    shadow('orders-kt-exchange-x1', 'shadow-exchange', 'cleo'),
  ];
  expect(ktConnectConnectors(pods).map(({ user, lastActive }) => [user, lastActive])).toEqual([
    ['anna', '2026-01-01T00:05:00.000Z'],
    ['unknown', null],
  ]);
});
