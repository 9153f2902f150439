// One file: errors with line, column and the key that was meant; values as they are written; set and unset keep comments.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig, withoutKey, withValue } from '../../../src/cli/config/file.ts';
import { type Key, Keys } from '../../../src/cli/config/keys.ts';
import { declareCommands } from '../../../src/cli/parse.ts';
import { KtError } from '../../../src/errors.ts';

const keys = new Keys((yargs) => declareCommands(yargs, () => () => Promise.resolve()));
const parse = (text: string) => parseConfig(text, 'f.yaml', keys);
const key = (name: string, section?: string): Key => {
  const found = keys.find(section, name);
  if (found === undefined) throw new Error(`no key ${name}`);
  return found;
};
const values = (text: string) => parse(text).map(({ section, name, value }) => [section, name, value]);

describe('errors', () => {
  test.each([
    ['namespace: shop\nproxyprt: 1', "f.yaml:2:1: unknown key 'proxyprt'; did you mean 'proxy-port'?"],
    ['exchange:\n  recover-wait: 1', "f.yaml:2:3: unknown key 'recover-wait' in exchange"],
    ['exchange:\n  moed: scale', "f.yaml:2:3: unknown key 'moed' in exchange; did you mean 'exchange.mode'?"],
    ['exchnage:\n  mode: scale', "f.yaml:1:1: unknown key 'exchnage'; did you mean 'exchange'?"],
    ['exchang:\n  mode: scale', "f.yaml:1:1: unknown key 'exchang'; did you mean 'exchange'?"],
    ['exchange: [orders]', 'f.yaml:1:11: exchange: must be a mapping, for it is a command'],
    ['proxy-port: many', 'f.yaml:1:13: proxy-port: must be a whole number'],
    ['debug: maybe', 'f.yaml:1:8: debug: must be true or false'],
    ['output: xml', 'f.yaml:1:9: output: must be plain or json'],
    ['namespace: [a, b]', 'f.yaml:1:12: namespace: must be text'],
    ['include-ips:\n  - a: b', 'f.yaml:2:3: include-ips: must be text, or a list of texts'],
    ['namespace: a\nglobal: { namespace: b }', 'f.yaml:2:11: namespace is set twice'],
    ['namespace: "a\\eb"', 'f.yaml:1:12: namespace: must hold no control characters'],
    ['"a\\e[31mb": c', "f.yaml:1:1: unknown key 'a [31mb'"],
    ['- a', 'f.yaml:1:1: must be a mapping of keys: `namespace: shop`'],
    ['a: "', ': not YAML: '],
  ])('%j', (text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) as string }),
    );
  });

  test('no text makes anything but entries or one of them, and none shows a value', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.json(), fc.stringMatching(/^([a-z-]+: ?[[{&*!|>'"a-z\n]*\n?){0,4}$/)),
        (text) => {
          try {
            parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(KtError);
            expect((error as KtError).message).toMatch(/^f\.yaml:\d+:\d+: /);
          }
        },
      ),
    );
    expect(() => parse('proxy-port: s3cret')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('s3cret') as string }),
    );
  });
});

test('values are what is written: a mark 1.10 is no number, and yes is true where a flag is one', () => {
  expect(values('version-mark: 1.10\nnamespace: on\ndebug: yes\nproxyPort: 0\nexpose: 8080\n')).toEqual([
    [undefined, 'version-mark', '1.10'],
    [undefined, 'namespace', 'on'],
    [undefined, 'debug', true],
    [undefined, 'proxy-port', 0],
    [undefined, 'expose', ['8080']],
  ]);
  expect(values('# nothing yet\nconnect:\nnamespace:\n')).toEqual([]);
  expect(values('')).toEqual([]);
});

describe('set and unset', () => {
  test('keep comments, order and spelling', () => {
    const text = '# mine\nproxyPort: 1 # fixed\nexchange:\n  # why\n  mode: scale\n';
    expect(withValue(text, key('proxy-port'), 2)).toBe(text.replace('1 #', '2 #'));
    expect(withoutKey(text, key('mode', 'exchange'))).toBe('# mine\nproxyPort: 1 # fixed\n');
    expect(withoutKey(text, key('namespace'))).toBeUndefined();
    expect(withoutKey('# mine\nnamespace: shop\n', key('namespace'))).toBe('# mine\n');
  });

  test('below a command that has nothing yet', () => {
    expect(values(withValue('exchange:\n', key('mode', 'exchange'), 'scale'))).toEqual([['exchange', 'mode', 'scale']]);
  });

  test('what is set is read again as it was, whatever the text', () => {
    const texts = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !/\p{C}/u.test(text));
    fc.assert(
      fc.property(texts, fc.array(texts), fc.integer({ min: 0, max: 65_535 }), (text, list, port) => {
        let file = withValue('# mine\n', key('namespace'), text);
        file = withValue(file, key('include-ips'), list);
        file = withValue(file, key('proxy-port', 'connect'), port);
        expect(values(file)).toEqual([
          [undefined, 'namespace', text],
          [undefined, 'include-ips', list],
          ['connect', 'proxy-port', port],
        ]);
      }),
    );
  });
});
