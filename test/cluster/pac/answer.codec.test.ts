// What a PAC file answers, as proxies.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePacAnswer } from '../../../src/cluster/pac/answer.codec.ts';

const shown = (text: string): string[] =>
  parsePacAnswer(text).map((one) => (one === 'direct' ? one : `${one.protocol}//${one.host}`));

describe('parsePacAnswer', () => {
  test.each([
    ['PROXY proxy.corp:3128; DIRECT', ['http://proxy.corp:3128', 'direct']],
    ['https p:443;socks5 s:1080 ; SOCKS t', ['https://p', 'socks5://s:1080', 'socks5://t']],
    ['PROXY [2001:db8::1]:3128', ['http://[2001:db8::1]:3128']],
    ['', ['direct']],
    [' ; ', ['direct']],
    ['SOCKS4 old:1080', []],
    ['PROXY', []],
    ['PROXY user:secret@p:1', []],
    ['PROXY p:99999; constructor x:1; DIRECT', ['direct']],
  ])('%j', (text, proxies) => {
    expect(shown(text)).toEqual(proxies);
  });

  test('never throws, and names only hosts that stand in the text', () => {
    const word = fc.oneof(fc.constantFrom('PROXY', 'DIRECT', 'SOCKS5', ';', ' ', ':', '[', '1'), fc.string());
    fc.assert(
      fc.property(fc.array(word), (words) => {
        for (const answer of parsePacAnswer(words.join(' '))) {
          expect(answer === 'direct' || (answer.hostname !== '' && answer.username === '')).toBe(true);
        }
      }),
    );
  });
});
