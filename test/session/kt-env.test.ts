// The environment of a kt that kt starts.
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { ktEnv } from '../../src/session/kt-env.ts';

test('the PAC file is in it, whatever folder the other kt runs in', () => {
  expect(ktEnv({})).toBe(process.env);
  expect(ktEnv({ pac: 'corp.pac' })['KT_PAC']).toBe(resolve('corp.pac'));
  expect(ktEnv({ pac: 'http://anna:secret@proxy/corp.pac' })['KT_PAC']).toBe('http://anna:secret@proxy/corp.pac');
  expect(ktEnv({ pac: 'file:///etc/corp.pac' })['KT_PAC']).toBe('file:///etc/corp.pac');
});
