// Who else uses this machine, decided by facts that are given.
import { homedir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { type HostFacts, hostFacts, othersOn } from '../../src/session/shared-host.ts';

const SYSTEM = `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
postgres:x:101:104::/var/lib/postgresql:/bin/bash
nobody:x:65534:65534:nobody:/home:/bin/bash
anna:x:1000:1000:Anna:/home/anna:/bin/bash
`;

const facts = (changes: Partial<HostFacts> = {}): HostFacts => ({
  platform: 'linux',
  uid: 1000,
  ownHome: 'anna',
  container: false,
  passwd: SYSTEM,
  homes: [{ name: 'anna', uid: 1000 }],
  exists: () => true,
  ...changes,
});

describe('Linux', () => {
  test("a laptop: accounts of the system and one's own are nobody else", () => {
    expect(othersOn(facts())).toEqual([]);
  });

  test.each([
    ['an account that can log in', 'leo:x:1001:1001::/home/leo:/bin/zsh', ['leo']],
    ['an empty shell is /bin/sh', 'leo:x:1001:1001::/home/leo:', ['leo']],
    ['no shell', 'ci:x:1002:1002::/home/ci:/usr/sbin/nologin', []],
    ['no login', 'ci:x:1002:1002::/home/ci:/bin/false', []],
    ['no home', 'ci:x:1002:1002::/:/bin/sh', []],
    ['not an account', 'leo:x:many:1001::/home/leo:/bin/zsh', []],
  ])('%s', (_, line, names) => {
    expect(othersOn(facts({ passwd: `${SYSTEM}${line}\n` }))).toEqual(names);
  });

  test('an account whose home was never made is not there', () => {
    const passwd = `${SYSTEM}leo:x:1001:1001::/home/leo:/bin/bash\n`;
    expect(othersOn(facts({ passwd, exists: (path) => path !== '/home/leo' }))).toEqual([]);
  });

  test('who is in a directory only (LDAP) is known by the home', () => {
    const homes = [
      { name: 'anna', uid: 1000 },
      { name: 'mei', uid: 402_113 },
      { name: 'lost+found', uid: 0 },
      { name: 'backup', uid: 0 },
    ];
    expect(othersOn(facts({ homes }))).toEqual(['mei']);
  });

  test('named once, sorted', () => {
    const passwd = `${SYSTEM}zoe:x:1003:1::/home/zoe:/bin/sh\nleo:x:1001:1::/home/leo:/bin/sh\n`;
    expect(othersOn(facts({ passwd, homes: [{ name: 'leo', uid: 1001 }] }))).toEqual(['leo', 'zoe']);
  });

  test("a container's loopback is its own", () => {
    expect(othersOn(facts({ container: true, homes: [{ name: 'node', uid: 1001 }] }))).toEqual([]);
  });
});

test('macOS: homes of people, whose numbers begin at 501', () => {
  const homes = [
    { name: 'anna', uid: 501 },
    { name: 'leo', uid: 502 },
    { name: 'Shared', uid: 0 },
    { name: '.localized', uid: 502 },
  ];
  expect(othersOn(facts({ platform: 'darwin', uid: 501, passwd: '', homes }))).toEqual(['leo']);
});

test('Windows: profiles of people', () => {
  const homes = ['Anna', 'Leo', 'Public', 'Default', 'defaultuser0'].map((name) => ({ name, uid: 0 }));
  expect(othersOn(facts({ platform: 'win32', uid: undefined, passwd: '', homes }))).toEqual(['Leo']);
});

test('this machine can be asked', () => {
  const here = hostFacts(homedir(), { KUBERNETES_SERVICE_HOST: '10.96.0.1' });
  expect(here.container).toBe(true);
  expect(othersOn({ ...here, container: false }).every((name) => name.length > 0)).toBe(true);
});
