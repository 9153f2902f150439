// The table of docs/errors.md says what SOCKS5 and HTTP clients see of each error: it is what the code does.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_CODES, type ErrorCode, KtError } from '../../src/errors.ts';
import { statusFor } from '../../src/netstack/http/answer.ts';
import { replyFor } from '../../src/netstack/socks/socks5.codec.ts';

const table = new Map(
  [...readFileSync('docs/errors.md', 'utf8').matchAll(/^\| ([A-Z_]+) \| (\d\d) [^|]*\| (\d+) \|$/gm)].map(
    ([, code = '', reply, status]) => [code, { reply: Number(reply), status: Number(status) }],
  ),
);

test('the table has rows', () => expect(table.size).toBeGreaterThan(10));

test.each(Object.keys(ERROR_CODES) as ErrorCode[])('%s', (code) => {
  const error = new KtError(code, 'why');
  const documented = table.get(code) ?? { reply: 1, status: 502 };
  expect({ reply: replyFor(error), status: statusFor(code) }).toEqual(documented);
});
