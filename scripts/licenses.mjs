// The licence texts of the libraries that are bundled into dist/, as one file: their licences ask that they travel along. Called by build.mjs.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What packages that leave their licence out, or carry others' work, do not say themselves. */
const NOTICES = {
  'quickjs-wasi':
    'quickjs.wasm in it is QuickJS-ng (https://github.com/quickjs-ng/quickjs), MIT: Copyright (c) 2017-2026 Fabrice Bellard, ' +
    '2017-2024 Charlie Gordon, 2023-2026 Ben Noordhuis, 2023-2026 Saúl Ibarra Corretgé. Its Unicode tables: Copyright (c) 1991-2026 ' +
    'Unicode, Inc., Unicode License V3 (https://www.unicode.org/license.txt).',
};

const MIT_TERMS = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

/** `libraries`: NAME@VERSION → the package's folder. Throws where a library says nothing of its licence. */
export function licenseTexts(libraries) {
  const parts = [...libraries].map(([id, folder]) => {
    const { name, license, homepage, repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const texts = readdirSync(folder)
      .filter((file) => /^(licen[cs]e|copying|copyright|notice)/i.test(file))
      .toSorted()
      .map((file) => readFileSync(join(folder, file), 'utf8').trim());
    if (texts.length === 0 && typeof license !== 'string') throw new Error(`${id} says nothing of its licence`);
    // Some packages name it and leave the text out.
    if (texts.length === 0) texts.push(`${license}; ${homepage ?? repository?.url ?? repository ?? ''}`.trim());
    if (name in NOTICES) texts.push(NOTICES[name]);
    if (license === 'MIT' && !texts.some((text) => text.includes('Permission is hereby granted')))
      texts.push(MIT_TERMS);
    return `${id}\n${'-'.repeat(id.length)}\n${texts.join('\n\n')}\n`;
  });
  return `kt is licensed under Apache-2.0. It contains these libraries:\n\n${parts.join('\n\n')}`;
}
