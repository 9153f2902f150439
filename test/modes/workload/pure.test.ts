// What a program may get, how values are shown, and how paths move: the decisions of --env-from that ask nobody.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wantedNames } from '../../../src/modes/workload/deny-list.ts';
import { masked } from '../../../src/modes/workload/mask.ts';
import { relocate } from '../../../src/modes/workload/relocate.ts';

describe("the laptop's own variables", () => {
  const wanted = wantedNames([], []);

  test.each(['PATH', 'HOME', 'JAVA_HOME', 'JAVA_TOOL_OPTIONS', 'NODE_OPTIONS', 'NODE_ENV', 'LD_PRELOAD'])(
    '%s stays',
    (name) => expect(wanted(name)).toBe(false),
  );
  test.each(['PYTHONPATH', 'DYLD_INSERT_LIBRARIES', 'http_proxy', 'KT_TOKEN', 'KUBECONFIG', 'LC_ALL', 'Path'])(
    '%s stays',
    (name) => expect(wanted(name)).toBe(false),
  );
  test.each(['DB_URL', 'SPRING_PROFILES_ACTIVE', 'PATHS', 'MY_PATH', 'LDAP_URL', 'JAVAX', 'NODES', 'HOMEPAGE'])(
    '%s comes',
    (name) => expect(wanted(name)).toBe(true),
  );

  test('--env-include lets them come; --env-exclude counts more', () => {
    const chosen = wantedNames(['JAVA_OPTS', 'NODE_*'], ['NODE_OPTIONS', 'OTEL_*']);
    expect(['JAVA_OPTS', 'NODE_ENV', 'NODE_OPTIONS', 'JAVA_HOME', 'OTEL_X', 'A'].map(chosen)).toEqual([
      true,
      true,
      false,
      false,
      false,
      true,
    ]);
  });

  test('a pattern without a star is a name, whatever its characters', () => {
    const name = fc.string({ minLength: 1, unit: 'grapheme-ascii' }).filter((text) => !text.includes('*'));
    fc.assert(
      fc.property(name, name, (pattern, other) => {
        const excluded = (text: string): boolean => !wantedNames(['*'], [pattern])(text);
        expect(excluded(pattern)).toBe(true);
        expect(excluded(other)).toBe(other.toLowerCase() === pattern.toLowerCase());
      }),
    );
  });
});

describe('values as they are shown', () => {
  const shown = (name: string, value: string, secret = false): string => masked({ name, value, secret });

  test('what is from a Secret, and what is called like one, is masked', () => {
    expect(shown('URL', 'x', true)).toBe('••••');
    for (const name of ['DB_PASSWORD', 'API_KEY', 'githubToken', 'CLIENT_SECRET', 'SENTRY_DSN']) {
      expect(shown(name, 'x')).toBe('••••');
    }
    expect(shown('DB_PASSWORD', '')).toBe('');
  });

  test('so are passwords in addresses', () => {
    expect(shown('DB', 'postgres://anna:geheim@db/x')).toBe('postgres://anna:••••@db/x');
    expect(shown('DB', 'jdbc:mysql://db/x?user=a&password=geheim&ssl=1')).toBe(
      'jdbc:mysql://db/x?user=a&password=••••&ssl=1',
    );
    expect(shown('KAFKA', 'server=x;sasl.password=geheim')).toBe('server=x;sasl.password=••••');
  });

  test('the rest is shown, in one line and not without end', () => {
    expect(shown('A', 'one\ntwo')).toBe('one ⏎ two');
    expect(shown('A', 'x'.repeat(500))).toHaveLength(121);
  });
});

describe('paths', () => {
  const place = (path: string): string => `/files${path}`;
  const moved = (value: string): string => relocate(value, ['/etc/app', '/etc/app/deep', '/var/one.yaml', '/'], place);

  test.each([
    ['/etc/app', '/files/etc/app'],
    ['/etc/app/a.yaml', '/files/etc/app/a.yaml'],
    ['/etc/app/deep/x', '/files/etc/app/deep/x'],
    ['file:/etc/app/', 'file:/files/etc/app/'],
    ['file:///etc/app/a', 'file:///files/etc/app/a'],
    ['-Dconfig=/etc/app/a -Dx=1', '-Dconfig=/files/etc/app/a -Dx=1'],
    ['classpath:/x,file:/var/one.yaml', 'classpath:/x,file:/files/var/one.yaml'],
    ['/usr/bin:/etc/app', '/usr/bin:/files/etc/app'],
    ['/etc/application', '/etc/application'],
    ['/etc/app.old/x', '/etc/app.old/x'],
    ['/my/etc/app', '/my/etc/app'],
    ['http://host/etc/app', 'http://host/etc/app'],
  ])('%s → %s', (value, expected) => expect(moved(value)).toBe(expected));

  test('nothing else changes', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('/mnt/x'));
        expect(relocate(text, ['/mnt/x'], place)).toBe(text);
      }),
    );
  });
});
