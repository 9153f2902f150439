// The questions of test/fixtures/launches/Ask.java, and what it says of them. Used by test/e2e/shim-{launches,maven}.test.ts.
import { stripVTControlCharacters } from 'node:util';
import { expect } from 'vitest';
import type { Outcome } from '../../support/run-program.ts';
import { POD } from '../../support/shim-world.ts';

/** By name and by address. */
export const URLS = ['http://orders.shop/', `http://${POD}:8080/`];
/** The lines that say what a URL answered. Maven resets colours in front of the first. */
export const said = ({ stdout }: Outcome): string[] =>
  stripVTControlCharacters(stdout)
    .split('\n')
    .filter((line) => /^http:\S+ [=!]/.test(line));
/** What they are where the cluster answers. */
export const ANSWERS: unknown[] = URLS.map((url) => expect.stringMatching(`^${url} = .*"service":"orders"`));
