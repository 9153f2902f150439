// Paths of a workload's mounts in the values of its variables, moved to where the files are on the laptop: CONFIG=/etc/orders/a.yaml
// becomes …/etc/orders/a.yaml below the files' folder. Only at the beginning of a path, and only whole names. Pure.

/** `place` gives the local path of a path in the container. */
export function relocate(value: string, mounts: readonly string[], place: (path: string) => string): string {
  // The longest first: one mount may lie within another.
  const sources = mounts
    .map((mount) => mount.replace(/\/+$/, ''))
    .filter((mount) => mount !== '')
    .toSorted((a, b) => b.length - a.length)
    .map((mount) => mount.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  if (sources.length === 0) return value;
  // Before it: the beginning, or what lists, options and URLs have before a path. After it: the end, a slash, or what ends a path.
  const expression = new RegExp(`(^|[=:,;\\s"'])((?:file://)?)(${sources.join('|')})(?=$|[/:,;\\s"'])`, 'g');
  return value.replace(expression, (_, before: string, scheme: string, path: string) => before + scheme + place(path));
}
