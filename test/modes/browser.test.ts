// `kt open`: which URL a Service is, which browser is taken, and how it is started.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { browserArguments, findBrowser, profileFolder, serviceUrl } from '../../src/modes/browser.ts';

test.each([
  [[{ port: 80 }], undefined, 'http://web/'],
  [[{ port: 9090 }, { port: 80 }], undefined, 'http://web/'],
  [
    [
      { port: 9090, name: 'grpc' },
      { port: 8080, name: 'http-api' },
    ],
    undefined,
    'http://web:8080/',
  ],
  [[{ port: 443 }], undefined, 'https://web/'],
  [[{ port: 8443, name: 'https' }], undefined, 'https://web:8443/'],
  [[{ port: 7000 }], undefined, 'http://web:7000/'],
  [[{ port: 7000, appProtocol: 'https' }], 7000, 'https://web:7000/'],
  [[], 8080, 'http://web:8080/'],
])('ports %j, wanted %s: %s', (ports, wanted, url) => expect(serviceUrl('web', ports, wanted, '/')).toBe(url));

test('a Service without ports', () => {
  expect(() => serviceUrl('web', [], undefined, '/')).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test('the browser on PATH, the one that was named, or none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kt-browser-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const name of ['chromium', 'firefox']) writeFileSync(join(folder, name), '');
  const env = { PATH: folder };
  expect(findBrowser(undefined, env, 'linux')).toEqual({ kind: 'chromium', path: join(folder, 'chromium') });
  expect(findBrowser('firefox', env, 'linux')).toEqual({ kind: 'firefox', path: join(folder, 'firefox') });
  expect(() => findBrowser('opera', env, 'linux')).toThrow("there is no browser 'opera'");
  expect(() => findBrowser(undefined, { PATH: '' }, 'linux')).toThrow(
    expect.objectContaining({ code: 'COMMAND_NOT_FOUND' }),
  );
});

test('each kind is told of the PAC file and of a profile of its own', () => {
  const home = mkdtempSync(join(tmpdir(), 'kt-profile-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const profile = profileFolder('staging/eu-shop', { XDG_CACHE_HOME: home });
  expect(profile).toBe(join(home, 'kt', 'browser', 'staging_eu-shop'));
  const pac = 'http://127.0.0.1:2223/proxy.pac';
  const chromium = browserArguments({ kind: 'chromium', path: 'x' }, profile, pac, 'http://web/');
  expect(chromium).toContain(`--proxy-pac-url=${pac}`);
  expect(chromium.at(-1)).toBe('http://web/');
  expect(browserArguments({ kind: 'firefox', path: 'x' }, profile, pac, 'http://web/')).toEqual([
    '--profile',
    profile,
    '--no-remote',
    'http://web/',
  ]);
  expect(readFileSync(join(profile, 'user.js'), 'utf8')).toContain(
    `user_pref("network.proxy.autoconfig_url", "${pac}");`,
  );
});
