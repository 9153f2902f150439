// What is hidden of messages, by the names of fields.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HIDDEN, hideBody, hidePath, isSecret } from '../../../src/session/traffic/secrets.ts';

test.each([
  'Authorization',
  'Proxy-Authorization',
  'cookie',
  'Set-Cookie',
  'X-Api-Key',
  'x-auth-user',
  'X-CSRF-Token',
  'client_secret',
  'db.password',
  'sessionId',
])('%s is a secret', (name) => expect(isSecret(name)).toBe(true));
test.each(['Host', 'Content-Type', 'X-Forwarded-For', 'author', 'Accept', 'x-request-id', 'traceparent'])(
  '%s is none',
  (name) => expect(isSecret(name)).toBe(false),
);

test('paths: the values of secret parameters only', () => {
  expect(hidePath('/token/7?a=b&access_token=xyz&page=2')).toBe(`/token/7?a=b&access_token=${HIDDEN}&page=2`);
  expect(hidePath('/plain')).toBe('/plain');
});

test.each([
  ['application/json', '{"user":"a","password":"p\\"w","n":1}', `{"user":"a","password":"${HIDDEN}","n":1}`],
  ['application/json', '{"access_token": 123, "b": 2}', `{"access_token": "${HIDDEN}", "b": 2}`],
  ['', ' [{"token":"t"}]', ` [{"token":"${HIDDEN}"}]`],
  // Cut in the midst of it.
  ['application/json', '{"secret":"abc', `{"secret":"${HIDDEN}"`],
  ['application/x-www-form-urlencoded', 'user=a&password=b', `user=a&password=${HIDDEN}`],
  ['text/plain', 'password=b', 'password=b'],
])('%s %s', (type, body, shown) => expect(hideBody(body, type)).toBe(shown));

test('no value of a secret field of JSON is left, whatever it is', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 4 }).filter((value) => !HIDDEN.includes(value)),
      (value) => {
        const shown = hideBody(JSON.stringify({ a: 1, apiKey: `<<${value}>>`, b: 2 }), 'application/json');
        expect(JSON.parse(shown)).toEqual({ a: 1, apiKey: HIDDEN, b: 2 });
      },
    ),
  );
});
