// The certificates of test/fixtures/tls.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../../fixtures/tls');

export const tlsFile = (name: string): string => join(folder, name);
export const pem = (name: string): string => readFileSync(tlsFile(name), 'utf8');
export const base64 = (text: string): string => Buffer.from(text).toString('base64');
