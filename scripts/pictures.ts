// Writes the pictures of README and docs from the real screen: node scripts/pictures.ts (after a build). test/ui/pictures.test.ts says when
// they are stale.
import { mkdirSync, writeFileSync } from 'node:fs';
import { takePictures } from '../test/support/pictures.ts';

mkdirSync('docs/pictures', { recursive: true });
for (const { name, svg } of await takePictures()) {
  writeFileSync(`docs/pictures/${name}.svg`, svg);
  console.log(`docs/pictures/${name}.svg  ${svg.length} bytes`);
}
