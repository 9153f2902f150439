// `$(NAME)` in the values of a container, as the kubelet expands it: `$$` is a dollar sign that begins nothing, what has no closing
// bracket or no value stays as it is. Pure. Source: k8s.io/kubernetes third_party/forked/golang/expansion, described in
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/

/** `known` gives a variable's value, or undefined where there is none. */
export function expand(text: string, known: (name: string) => string | undefined): string {
  return text.replaceAll(/\$(?:\$|\(([^)]*)\)|)/g, (found: string, name: string | undefined) => {
    if (found === '$$') return '$';
    return name === undefined ? found : (known(name) ?? found);
  });
}

/** The names that `text` refers to. */
export function references(text: string): string[] {
  const names: string[] = [];
  expand(text, (name) => {
    names.push(name);
    return undefined;
  });
  return names;
}
