// The licence texts of the libraries that are bundled into dist/, as one file: their licences ask that they travel along. Called by build.mjs.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `libraries`: NAME@VERSION → the package's folder. Throws where a library says nothing of its licence. */
export function licenseTexts(libraries) {
  const parts = [...libraries].map(([id, folder]) => {
    const { license, homepage, repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const texts = readdirSync(folder)
      .filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))
      .toSorted()
      .map((name) => readFileSync(join(folder, name), 'utf8').trim());
    if (texts.length === 0 && typeof license !== 'string') throw new Error(`${id} says nothing of its licence`);
    // Some packages name it and leave the text out.
    if (texts.length === 0) texts.push(`${license}; ${homepage ?? repository?.url ?? repository ?? ''}`.trim());
    return `${id}\n${'-'.repeat(id.length)}\n${texts.join('\n\n')}\n`;
  });
  return `kt is licensed under Apache-2.0. It contains these libraries:\n\n${parts.join('\n\n')}`;
}
