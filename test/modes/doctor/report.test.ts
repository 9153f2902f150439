// The report holds no secret: planted ones of every kind, in every place where they can show.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redact, reportText } from '../../../src/modes/doctor/report.ts';
import type { Diagnosis, Finding } from '../../../src/session/findings.ts';
import { pem } from '../../cluster/support/tls.ts';

const finding = (text: string): Finding => ({
  check: 'proxy',
  verdict: 'failed',
  text,
  hint: text,
  code: 'API_PROXY',
  ms: 1,
});
const diagnosis = (...texts: string[]): Diagnosis => ({
  version: '1.2.3',
  time: '2026-01-01T00:00:00.000Z',
  namespace: 'shop',
  context: 'dev',
  findings: texts.map(finding),
});

describe('planted secrets', () => {
  const SECRETS = {
    token: 'planted-bearer-token',
    basic: 'planted-basic-word',
    proxy: 'planted pr%xy word',
    environment: 'planted-env-word',
    url: 'planted-url-word',
    broker: 'planted-broker-word',
  };
  const input = {
    diagnosis: diagnosis(
      `the plugin said ${SECRETS.token} and ${SECRETS.environment}`,
      `went by http://anna:${encodeURIComponent(SECRETS.proxy)}@proxy:3128 (${SECRETS.proxy})`,
      `Authorization: Basic ${Buffer.from(`anna:${SECRETS.basic}`).toString('base64')}, which is ${SECRETS.basic}`,
      `a key: ${pem('server.key')}`,
      'somebody else: Bearer abcdefghijklmnop and eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIn0.c2ln and password=hunter2hunter2',
    ),
    env: {
      HTTPS_PROXY: `http://anna:${encodeURIComponent(SECRETS.proxy)}@proxy:3128`,
      KT_PROXY_PASSWORD: SECRETS.environment,
      KT_TOKEN: SECRETS.broker,
      KT_RUNTIME_DIR: '/run/kt',
      NODE_OPTIONS: `--title=https://u:${SECRETS.url}@host`,
      DATABASE_URL: 'postgres://u:planted-db-word@db/x',
      UNRELATED: 'planted-unrelated-word',
    },
    credentials: {
      headers: { Authorization: `Basic ${Buffer.from(`anna:${SECRETS.basic}`).toString('base64')}` },
      key: pem('server.key'),
      certificate: pem('server.pem'),
      plugin: { token: SECRETS.token },
    },
  };
  const text = reportText(input);

  test('none is in the report, in no form', () => {
    const forms = Object.values(SECRETS).flatMap((one) => [
      one,
      encodeURIComponent(one),
      Buffer.from(one).toString('base64'),
    ]);
    for (const form of [
      ...forms,
      'planted',
      'hunter2hunter2',
      'abcdefghijklmnop',
      'PRIVATE KEY',
      'eyJ',
      Buffer.from(`anna:${SECRETS.basic}`).toString('base64'),
    ])
      expect(text).not.toContain(form);
  });

  test('what helps is', () => {
    for (const part of [
      'API_PROXY',
      'context dev, namespace shop',
      'KT_RUNTIME_DIR=/run/kt',
      'HTTPS_PROXY=http://[hidden]@proxy:3128',
      'kt 1.2.3',
    ])
      expect(text).toContain(part);
  });
});

test('property: a known secret never stays, wherever it stands', () => {
  // Without brackets: the mark that takes its place has them, so that no new occurrence can come about.
  const secret = fc.stringMatching(/^[!-Z^-~]{5,40}$/);
  fc.assert(
    fc.property(secret, fc.string(), fc.string(), (word, before, after) => {
      const text = redact(`${before}${word}${after} ${encodeURIComponent(word)}`, [word]);
      expect(text.replaceAll('[hidden]', '[]')).not.toContain(word);
    }),
  );
});
