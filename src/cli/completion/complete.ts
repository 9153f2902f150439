// `kt __complete INDEX WORD…`: what the scripts of scripts.ts call at every TAB. Prints one candidate a line. Silent on every failure and
// over in a second, because a shell waits for it. Called by main.ts.
import { configuredTexts } from '../config/defaults.ts';
import { ConfigStore } from '../config/store.ts';
import type { Declare } from '../declarations.ts';
import { candidates, type Live, type Where } from './words.ts';

/** Milliseconds for an answer from a cluster: longer, and typing is faster. */
const ANSWER_MS = 800;
/** Milliseconds after which it ends without one, whatever hangs. */
const END_MS = 1_000;
/** What every shell takes as it is. A context with other characters in its name is typed by hand. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/** `given`: the index of the word being typed, then the words behind `kt`; the one being typed is missing where it is empty. */
export async function complete(given: readonly string[], declare: Declare): Promise<number> {
  const end = setTimeout(() => process.exit(0), END_MS);
  try {
    const index = Number(given[0]);
    const words = given.slice(1, index + 1);
    if (words.length < index) words.push('');
    for (const word of await candidates(words, declare, lazily(AbortSignal.timeout(ANSWER_MS), declare)))
      if (PLAIN.test(word)) console.log(word);
  } catch {
    // Nothing to offer.
  } finally {
    clearTimeout(end);
  }
  return 0;
}

/** Loads what talks to a cluster when its names are wanted. What the line does not say is as it is configured. */
function lazily(signal: AbortSignal, declare: Declare): Live {
  const load = async (): Promise<Omit<Live, 'profiles'>> => (await import('./live.ts')).liveNames(signal);
  const full = async ({ kubeconfig, context, namespace, pac }: Where): Promise<Where> => {
    const set = await configuredTexts(declare, 'connect');
    return {
      kubeconfig: kubeconfig ?? set['kubeconfig'],
      context: context ?? set['context'],
      namespace: namespace ?? set['namespace'],
      pac: pac ?? set['pac'],
    };
  };
  return {
    contexts: async () => (await load()).contexts(),
    namespaces: async (where) => (await load()).namespaces(await full(where)),
    services: async (where) => (await load()).services(await full(where)),
    profiles: () => Promise.resolve(new ConfigStore().profiles()),
  };
}
