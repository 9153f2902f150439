// The names of the ways by which bytes reach a port in a pod, as --transport takes them. What opens one is types.ts's and ways.ts's.

/** In the order in which they are tried. */
export const WAYS = ['portforward', 'spdy', 'exec', 'podproxy'] as const;
export type Way = (typeof WAYS)[number];
