#!/usr/bin/env node
// Entry of the `kt` command. Answers --version without loading anything; everything else is parsed in parse.ts.
// Prints the one error that ends a command, and sets the exit code from it.
import nodeModule from 'node:module';
import { asKtError } from '../errors.ts';

declare const __KT_VERSION__: string;

async function main(argv: readonly string[]): Promise<number> {
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-v')) {
    console.log(__KT_VERSION__);
    return 0;
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 19)) {
    console.error(
      `kt: needs Node 22.19 or newer, this is ${process.version}\n    install a newer Node, or in a clone: npm ci && bin/kt`,
    );
    return 2;
  }
  nodeModule.enableCompileCache();
  const { declareCommands, run } = await import('./parse.ts');
  if (argv[0] === '__complete') {
    const { complete } = await import('./completion/complete.ts');
    return complete(argv.slice(1), (yargs) => declareCommands(yargs, () => async () => undefined));
  }
  return run(argv, __KT_VERSION__);
}

// Standard output closed early (`kt status | head -1`) is no defect.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
    // What is left are handles that nobody waits for (kept-alive connections); output was written synchronously or flushed by then.
    process.stdout.write('', () => process.exit(code));
  },
  (error: unknown) => {
    const known = asKtError(error);
    console.error(`kt: ${known.message}`);
    if (known.hint) console.error(`    ${known.hint}`);
    console.error(`    (${known.code})`);
    if (known.code === 'INTERNAL' && error instanceof Error) console.error(error.stack);
    process.exit(known.exitCode);
  },
);
