// Which variables of a workload a program on the laptop must not get: those that say where things are on a machine or how its runtime
// is to be run. They were written for the image. Pure. Called by modes/workload/open.ts; listed in docs/workload.md.

/** Names and beginnings of names. */
const DENIED: readonly string[] = [
  // Where the machine has its things, and whose it is.
  'PATH',
  'PATHEXT',
  'HOME',
  'USER',
  'USERNAME',
  'USERPROFILE',
  'LOGNAME',
  'HOSTNAME',
  'SHELL',
  'PWD',
  'OLDPWD',
  'TMP',
  'TEMP',
  'TMPDIR',
  'TERM',
  'COLORTERM',
  'DISPLAY',
  'LANG',
  'LANGUAGE',
  'LC_*',
  'SHLVL',
  'IFS',
  'ENV',
  'BASH_*',
  'PS1',
  'EDITOR',
  'PAGER',
  'XDG_*',
  'SSH_*',
  'DBUS_*',
  'WAYLAND_*',
  'APPDATA',
  'LOCALAPPDATA',
  'PROGRAMFILES*',
  'SYSTEMROOT',
  'WINDIR',
  'COMSPEC',
  // What the loader and the C library do.
  'LD_*',
  'DYLD_*',
  'GLIBC_*',
  'MALLOC_*',
  // Runtimes and their tools: heap sizes, agents and paths of the image.
  'JAVA_*',
  '_JAVA_OPTIONS',
  'JDK_*',
  'JRE_*',
  'JVM_*',
  'CLASSPATH',
  'MAVEN_*',
  'M2_*',
  'GRADLE_*',
  'CATALINA_*',
  'NODE_*',
  'NPM_*',
  'YARN_*',
  'PYTHON*',
  'VIRTUAL_ENV',
  'PIP_*',
  'GOPATH',
  'GOROOT',
  'GOMAXPROCS',
  'GOMEMLIMIT',
  'GOGC',
  'GODEBUG',
  'RUBYOPT',
  'RUBYLIB',
  'GEM_*',
  'BUNDLE_*',
  'PERL5*',
  'PHP_*',
  'DOTNET_*',
  'CORECLR_*',
  'COMPlus_*',
  // Trust and proxies are the laptop's own.
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
  'FTP_PROXY',
  'SSL_CERT_*',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  // kt's own, and the way to the API that it makes.
  'KT_*',
  'KUBECONFIG',
];

export type Filter = (name: string) => boolean;

/** A name with `*` for any characters. Upper and lower case are one: `http_proxy` is `HTTP_PROXY`. */
export function matches(patterns: readonly string[]): Filter {
  const sources = patterns.map((pattern) =>
    pattern.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('*', '.*'),
  );
  const expression = new RegExp(`^(?:${sources.join('|')})$`, 'i');
  return (name) => sources.length > 0 && expression.test(name);
}

const denied = matches(DENIED);

/** `exclude` counts more than `include`, which counts more than the list above. */
export function wantedNames(include: readonly string[], exclude: readonly string[]): Filter {
  const [included, excluded] = [matches(include), matches(exclude)];
  return (name) => !excluded(name) && (included(name) || !denied(name));
}
