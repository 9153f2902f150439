// The environment of `kt run`: each variable keeps what the user has, survives odd paths (a real Node reads the result), and a second
// kt run inside the first replaces only kt's own parts.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { javaOption, nodeOption, splitOptions } from '../../src/modes/option-words.ts';
import { gradleHint, type RunEnvironmentOptions, runEnvironment } from '../../src/modes/run-env.ts';

const options = (base: NodeJS.ProcessEnv, more: Partial<RunEnvironmentOptions> = {}): RunEnvironmentOptions => ({
  base,
  broker: { address: '127.0.0.1:4000', token: 'secret' },
  cidrs: ['198.18.0.0/24', '198.19.0.0/16'],
  suffixes: [],
  dns: '127.0.0.1:4001',
  httpProxy: '127.0.0.1:2223',
  shimsDirectory: '/opt/kt/shims',
  sessionId: 'ab12',
  hostname: 'My-Laptop',
  ...more,
});
const set = (base: NodeJS.ProcessEnv, more: Partial<RunEnvironmentOptions> = {}): Record<string, string> =>
  runEnvironment(options(base, more)).set;

describe('what the shims are told', () => {
  test('from an empty environment, everything and nothing else', () => {
    expect(runEnvironment(options({}))).toEqual({
      set: {
        KT_BROKER: '127.0.0.1:4000',
        KT_TOKEN: 'secret',
        KT_CIDRS: '198.18.0.0/24,198.19.0.0/16',
        KT_SUFFIXES: '',
        KT_DNS: '127.0.0.1:4001',
        KT_SESSION: 'ab12',
        KT_HOSTNAME: 'my-laptop',
        JAVA_TOOL_OPTIONS: '-javaagent:/opt/kt/shims/kt-jvm.jar',
        NODE_OPTIONS: '--require /opt/kt/shims/kt-node.cjs',
        PYTHONPATH: '/opt/kt/shims/python',
        GRADLE_OPTS: '-Dorg.gradle.daemon=false',
      },
      unset: [],
    });
  });

  test('the token is in no variable that a runtime prints', () => {
    const { KT_TOKEN, ...others } = set({ HTTP_PROXY: 'http://proxy:3128', JAVA_TOOL_OPTIONS: '-Xmx1g' });
    expect(KT_TOKEN).toBe('secret');
    expect(JSON.stringify(others)).not.toContain('secret');
  });

  test('networks and suffixes come in one form', () => {
    const told = set({}, { cidrs: ['198.18.0.7', 'fd00::7', '198.19.0.0/16'], suffixes: ['Shop', '.corp.example'] });
    expect(told['KT_CIDRS']).toBe('198.18.0.7/32,fd00::7/128,198.19.0.0/16');
    expect(told['KT_SUFFIXES']).toBe('.shop,.corp.example');
  });

  test("an outer session's DNS is taken away where this one has none", () => {
    expect(runEnvironment(options({ KT_DNS: '127.0.0.1:9' }, { dns: undefined })).unset).toEqual(['KT_DNS']);
  });
});

describe('what the user has is kept', () => {
  test('and appended to, or prepended', () => {
    const got = set({
      JAVA_TOOL_OPTIONS: '-Xmx1g -Dname="a b"',
      NODE_OPTIONS: '--require ./.pnp.cjs --max-old-space-size=4096',
      PYTHONPATH: ['/mine', '/other'].join(delimiter),
      GRADLE_OPTS: '-Xmx2g',
    });
    expect(got['JAVA_TOOL_OPTIONS']).toBe('-Xmx1g -Dname="a b" -javaagent:/opt/kt/shims/kt-jvm.jar');
    expect(got['NODE_OPTIONS']).toBe(
      '--require ./.pnp.cjs --max-old-space-size=4096 --require /opt/kt/shims/kt-node.cjs',
    );
    expect(got['PYTHONPATH']).toBe(['/opt/kt/shims/python', '/mine', '/other'].join(delimiter));
    expect(got['GRADLE_OPTS']).toBe('-Xmx2g -Dorg.gradle.daemon=false');
  });

  test("a choice of the user's about the Gradle daemon stands", () => {
    expect(set({ GRADLE_OPTS: '-Dorg.gradle.daemon=true' })).not.toHaveProperty('GRADLE_OPTS');
  });

  test('a kt run inside a kt run replaces what the outer one set', () => {
    const outer = set({
      JAVA_TOOL_OPTIONS: '-Xmx1g',
      NODE_OPTIONS: '--no-warnings',
      PYTHONPATH: '/mine',
      HTTP_PROXY: 'http://proxy:1',
    });
    expect({ ...outer, ...set(outer) }).toEqual(outer);
    const other = set(outer, {
      shimsDirectory: '/elsewhere/kt shims',
      broker: { address: '127.0.0.1:5', token: 'new' },
    });
    expect(other['JAVA_TOOL_OPTIONS']).toBe('-Xmx1g -javaagent:"/elsewhere/kt shims/kt-jvm.jar"');
    expect(other['NODE_OPTIONS']).toBe('--no-warnings --require "/elsewhere/kt shims/kt-node.cjs"');
    expect(other['KT_TOKEN']).toBe('new');
  });
});

describe('JVMs and Gradle', () => {
  test('another variable, or none', () => {
    const jdk = set({ JDK_JAVA_OPTIONS: '-Xmx1g' }, { javaVariable: 'JDK_JAVA_OPTIONS' });
    expect(jdk['JDK_JAVA_OPTIONS']).toBe('-Xmx1g -javaagent:/opt/kt/shims/kt-jvm.jar');
    expect(jdk).not.toHaveProperty('JAVA_TOOL_OPTIONS');
    expect(Object.keys(set({}, { javaVariable: 'none' })).filter((name) => name.startsWith('J'))).toEqual([]);
  });

  test('who starts Gradle is told that it runs without its daemon, unless the choice was made', () => {
    for (const name of ['gradle', './gradlew', 'C:\\app\\gradlew.bat']) {
      expect(gradleHint([name, 'bootRun'], {})).toMatchObject({ hint: expect.stringContaining('gradle --stop') });
    }
    expect(gradleHint(['mvn'], {})).toBeUndefined();
    expect(gradleHint(['gradle', '--daemon'], {})).toBeUndefined();
    expect(gradleHint(['gradle'], { GRADLE_OPTS: '-Dorg.gradle.daemon=false' })).toBeUndefined();
  });
});

describe('company proxies', () => {
  test('nothing is set where the user has none', () => {
    expect(Object.keys(set({})).filter((name) => /proxy/i.test(name))).toEqual([]);
    expect(Object.keys(set({ HTTP_PROXY: '' })).filter((name) => /proxy/i.test(name))).toEqual([]);
  });

  test("kt's takes the place of the one that is there, in both cases of letters", () => {
    const got = set({ https_proxy: 'http://proxy.corp.example:3128', NO_PROXY: '.corp.example' });
    expect(got).toMatchObject({
      HTTPS_PROXY: 'http://127.0.0.1:2223',
      https_proxy: 'http://127.0.0.1:2223',
      NO_PROXY: 'localhost,127.0.0.1,::1',
      no_proxy: 'localhost,127.0.0.1,::1',
    });
    expect(got).not.toHaveProperty('HTTP_PROXY');
  });

  test('ALL_PROXY is never set; one that is there does not get what is the cluster', () => {
    const got = set(
      { ALL_PROXY: 'socks5h://proxy.corp.example:1080', NO_PROXY: 'wiki.corp.example' },
      { suffixes: ['shop'] },
    );
    expect(got).not.toHaveProperty('ALL_PROXY');
    expect(got['no_proxy']).toBe(
      'wiki.corp.example,localhost,127.0.0.1,::1,.svc,.cluster.local,.shop,198.18.0.0/24,198.19.0.0/16',
    );
  });
});

describe('quoting', () => {
  test('Node reads a path with spaces, quotes and backslashes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kt run env '));
    const odd = process.platform === 'win32' ? 'plain' : 'a "b" \\c';
    mkdirSync(join(folder, odd));
    writeFileSync(join(folder, odd, 'kt-node.cjs'), 'globalThis.loaded = true;');
    const NODE_OPTIONS = set({ NODE_OPTIONS: '--no-warnings' }, { shimsDirectory: join(folder, odd) })['NODE_OPTIONS'];
    const out = execFileSync(process.execPath, ['-p', 'loaded'], {
      env: { ...process.env, NODE_OPTIONS },
      encoding: 'utf8',
    });
    expect(out.trim()).toBe('true');
    rmSync(folder, { recursive: true });
  });

  test('the JVM has no escape: a path with both kinds of quotes is refused with a hint', () => {
    expect(javaOption('-javaagent:', `/it's/x.jar`)).toBe(`-javaagent:"/it's/x.jar"`);
    expect(javaOption('-javaagent:', '/a "b"/x.jar')).toBe(`-javaagent:'/a "b"/x.jar'`);
    expect(() => javaOption('-javaagent:', `/it's "b"/x.jar`)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  test('a path becomes one word and stays itself', () => {
    const path = fc.string({ minLength: 1 }).filter((text) => text.trim() !== '' && !/[\r\n]/.test(text));
    fc.assert(
      fc.property(path, (text) => {
        expect(splitOptions(`-a ${nodeOption(text)} -b`, '\\').map((word) => word.text)).toEqual(['-a', text, '-b']);
        fc.pre(!(text.includes('"') && text.includes("'")));
        expect(splitOptions(`-a ${javaOption('-x:', text)} -b`).map((word) => word.text)).toEqual([
          '-a',
          `-x:${text}`,
          '-b',
        ]);
      }),
    );
  });

  test('what the user wrote comes back as it was, apart from white space', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const raw = splitOptions(text, '\\').map((word) => word.raw);
        expect(raw.join(' ').replaceAll(/\s/g, '')).toBe(text.replaceAll(/\s/g, ''));
      }),
    );
  });
});
