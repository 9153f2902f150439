// Variables in the words of shells, files and IDEs, for `kt env --format`. Pure. Called by cli/commands/env.ts.

export interface Variables {
  readonly set: Readonly<Record<string, string>>;
  readonly unset: readonly string[];
}

/** The text without a line end at its end; `left` are variables that the format can't hold. */
type Format = (variables: Variables) => { readonly text: string; readonly left: readonly string[] };

const lines =
  (set: (name: string, value: string) => string, unset: (name: string) => string): Format =>
  (variables) => ({
    text: [
      ...Object.entries(variables.set).map(([name, value]) => set(name, value)),
      ...variables.unset.map(unset),
    ].join('\n'),
    left: [],
  });

export const shell = lines(
  (name, value) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'`,
  (name) => `unset ${name}`,
);

const powershell = lines(
  (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
  (name) => `Remove-Item Env:${name} -ErrorAction SilentlyContinue`,
);

/** For cmd.exe. It has no way to write a line end; in quotes only the per cent sign means something, and doubles in batch files alone. */
const cmd: Format = ({ set, unset }) => {
  const [held, left] = withoutLineEnds(set);
  return {
    text: [...held.map(([name, value]) => `set "${name}=${value}"`), ...unset.map((name) => `set "${name}="`)].join(
      '\r\n',
    ),
    left,
  };
};

export const dotenv = lines(
  (name, value) => `${name}=${dotenvValue(value)}`,
  (name) => `${name}=`,
);

/**
 * Readers differ in what they do within double quotes, and all of them leave what is in single ones alone: so those where possible.
 */
function dotenvValue(value: string): string {
  if (/^[\w./:,@%+=-]*$/.test(value)) return value;
  if (!/['\r\n]/.test(value)) return `'${value}'`;
  const oneLine = value.replaceAll('\r', String.raw`\r`).replaceAll('\n', String.raw`\n`);
  return oneLine.includes('"') ? `"${oneLine.replaceAll('"', String.raw`\"`)}"` : `"${oneLine}"`;
}

/**
 * What IntelliJ's field "Environment variables" takes when it is pasted there. A semicolon is written as 2025.2 and later read it.
 */
const idea: Format = ({ set }) => {
  const [held, left] = withoutLineEnds(set);
  const text = held.map(([name, value]) => {
    const escaped = value.includes(';')
      ? `"${value.replaceAll('"', String.raw`\"`).replaceAll(';', String.raw`\;`)}"`
      : value;
    return `${name}=${escaped}`;
  });
  return { text: text.join(';'), left };
};

/** The `env` of a configuration in VS Code's launch.json; null takes a variable away. */
const vscode: Format = ({ set, unset }) => {
  const env = { ...set, ...Object.fromEntries(unset.map((name) => [name, null])) };
  return { text: JSON.stringify({ env }, undefined, 2).slice(2, -2).replaceAll(/^ {2}/gm, ''), left: [] };
};

function withoutLineEnds(set: Readonly<Record<string, string>>): [[string, string][], string[]] {
  const all = Object.entries(set);
  return [
    all.filter(([, value]) => !/[\r\n]/.test(value)),
    all.filter(([, value]) => /[\r\n]/.test(value)).map(([name]) => name),
  ];
}

export const ENV_FORMATS = {
  shell,
  /** Its older name. */
  sh: shell,
  powershell,
  cmd,
  dotenv,
  idea,
  vscode,
} as const satisfies Record<string, Format>;
