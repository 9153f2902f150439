import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  connectionTokens,
  endToEndFields,
  fieldValues,
  withoutField,
} from '../../../src/netstack/http/header-fields.codec.ts';
import { parseRequestTarget } from '../../../src/netstack/http/request-target.codec.ts';

describe('request targets', () => {
  test.each([
    ['http://gateway/', { host: 'gateway', port: 80 }, 'gateway', '/'],
    ['http://gateway', { host: 'gateway', port: 80 }, 'gateway', '/'],
    ['http://gateway?q=1', { host: 'gateway', port: 80 }, 'gateway', '/?q=1'],
    ['HTTP://Gateway:8080/a/../b//c?x=%2f', { host: 'gateway', port: 8080 }, 'Gateway:8080', '/a/../b//c?x=%2f'],
    ['http://[2001:db8::1]:8080/x', { host: '2001:db8::1', port: 8080 }, '[2001:db8::1]:8080', '/x'],
    ['http://user:pass@gateway/x', { host: 'gateway', port: 80 }, 'gateway', '/x'],
    ['http://gateway/x#fragment', { host: 'gateway', port: 80 }, 'gateway', '/x'],
    ['http://gateway/user@host', { host: 'gateway', port: 80 }, 'gateway', '/user@host'],
    ['ws://gateway/socket', { host: 'gateway', port: 80 }, 'gateway', '/socket'],
  ])('%s', (text, target, authority, path) => {
    expect(parseRequestTarget(text)).toEqual({ form: 'absolute', target, authority, path });
  });

  test('OPTIONS of the whole server becomes *', () => {
    expect(parseRequestTarget('http://gateway:81', 'OPTIONS')).toMatchObject({ path: '*' });
    expect(parseRequestTarget('http://gateway:81/', 'OPTIONS')).toMatchObject({ path: '/' });
  });

  test.each([
    ['/', 'origin'],
    ['*', 'origin'],
    ['https://gateway/', 'foreign'],
    ['ftp://gateway/', 'foreign'],
    ['gateway:80', 'malformed'],
    ['http://', 'malformed'],
    ['http:///path', 'malformed'],
    ['http://gate way/', 'malformed'],
    ['http://gateway:99999/', 'malformed'],
    ['http://a@b@c/', 'malformed'],
    ['', 'malformed'],
  ])('%j is %s', (text, form) => {
    expect(parseRequestTarget(text).form).toBe(form);
  });

  test('property: never throws, and a path keeps its bytes', () => {
    fc.assert(fc.property(fc.string(), (text) => parseRequestTarget(text).form.length > 0));
    fc.assert(
      fc.property(fc.webPath(), fc.webQueryParameters(), (path, query) => {
        const rest = `/${path}?${query}`;
        expect(parseRequestTarget(`http://gateway${rest}`)).toMatchObject({ path: rest });
      }),
    );
  });
});

describe('header fields', () => {
  test('hop-by-hop fields and those that Connection names stay here', () => {
    const raw = [
      ['Host', 'gateway'],
      ['Connection', 'keep-alive, X-Private'],
      ['connection', 'x-other'],
      ['X-Private', '1'],
      ['X-OTHER', '2'],
      ['X-Kept', '3'],
      ['Proxy-Connection', 'keep-alive'],
      ['Proxy-Authorization', 'Basic eDp5'],
      ['Keep-Alive', 'timeout=5'],
      ['TE', 'trailers'],
      ['Transfer-Encoding', 'chunked'],
      ['Upgrade', 'h2c'],
      ['Set-Cookie', 'a'],
      ['Set-Cookie', 'b'],
    ].flat();
    expect(endToEndFields(raw)).toEqual(['Host', 'gateway', 'X-Kept', '3', 'Set-Cookie', 'a', 'Set-Cookie', 'b']);
  });

  test('Connection can not take away the framing or the destination', () => {
    const raw = ['Connection', 'content-length, host', 'Content-Length', '3', 'Host', 'gateway'];
    expect(endToEndFields(raw)).toEqual(['Content-Length', '3', 'Host', 'gateway']);
  });

  test('values that look like names are values', () => {
    const raw = ['X-A', 'host', 'Host', 'b', 'X-B', 'connection', 'Accept', 'host'];
    expect(fieldValues(raw, 'host')).toEqual(['b']);
    expect(withoutField(raw, 'host')).toEqual(['X-A', 'host', 'X-B', 'connection', 'Accept', 'host']);
    expect(connectionTokens(raw)).toEqual([]);
  });
});
