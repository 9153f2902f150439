// The grammar of the command line: which commands there are and what each takes. Commands are loaded when they run, so that
// `kt status` does not pay for what `kt connect` needs. Called by main.ts.
import type { Argv } from 'yargs';
import { KtError } from '../errors.ts';
import { type Arguments } from './arguments.ts';
import { withBirdseyeOptions } from './birdseye-options.ts';
import { withCleanOptions, withRecoverOptions } from './care-options.ts';
import { SHELLS } from './completion/scripts.ts';
import { configuredDefaults, type Defaults, NO_DEFAULTS } from './config/defaults.ts';
import { withConfigOptions } from './config-options.ts';
import { withDoctorOptions } from './doctor-options.ts';
import { withForwardOptions } from './forward-options.ts';
import { withHoldOptions, withMeshOptions, withPreviewOptions, withRunOptions } from './hold-options.ts';
import { GLOBAL_OPTIONS, PLAN_OPTION, withSessionOptions } from './options.ts';
import { canDraw } from './screen.ts';
import { usageText } from './usage-words.ts';
import { withEnvironmentOptions } from './workload-options.ts';

/** The command of `kt` alone: a name that nobody types, beside `kt open SERVICE`. */
const ALONE = 'kt-alone';

/** A command gets its arguments and gives the exit code. */
type Command = (args: Arguments, version: string) => Promise<number>;

export async function run(given: readonly string[], version: string): Promise<number> {
  const argv = opensScreen(given) ? [ALONE, ...given] : given;
  let code = 0;
  const start = (load: () => Promise<Command>) => async (args: Arguments) => {
    const command = await load();
    code = await command(args, version);
  };
  const defaults = await configuredDefaults(argv, (yargs) => declareCommands(yargs, start));
  // Loaded here: the completion needs the declarations only.
  const { default: yargs } = await import('yargs');
  const parser = yargs([...argv])
    .scriptName('kt')
    .usage('$0 COMMAND\n\nRun one service on your laptop as if it were in the Kubernetes cluster.')
    .locale('en')
    .version(version)
    .alias('version', 'v')
    .help('help')
    .alias('help', 'h')
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    // What `run` starts has options of its own; for every other command an unknown option is a mistake.
    .parserConfiguration({ 'populate--': true, 'unknown-options-as-args': argv[0] === 'run' });
  declareCommands(parser, start, defaults)
    .demandCommand(1, 'Name a command; `kt --help` lists them.')
    .strictCommands()
    .strictOptions(argv[0] !== 'run')
    .recommendCommands()
    .exitProcess(false)
    .fail((message, error) => {
      if (error) throw error;
      throw new KtError('USAGE', usageText(message, argv[0]), {
        hint: '`kt --help` and `kt COMMAND --help` show what there is',
      });
    });
  await parser.parseAsync();
  return code;
}

/** How a command is loaded when it is chosen. */
type Start = (load: () => Promise<Command>) => (args: Arguments) => Promise<void>;

/** Declares the common flags and every command with its own: also what the completion offers. */
export function declareCommands(yargs: Argv, start: Start, defaults = NO_DEFAULTS): Argv {
  yargs.options(GLOBAL_OPTIONS);
  withDefaults(yargs, defaults)
    .command(
      'connect',
      'Open the cluster to this laptop: SOCKS5 and HTTP proxy, DNS',
      (y) => withSessionOptions(y).option('plan', PLAN_OPTION),
      start(async () => (await import('./commands/connect.ts')).connect),
    )
    .command(
      'run [cmd..]',
      'Start a program that sees the cluster: kt run -- mvn spring-boot:run',
      (y) => withRunOptions(y),
      start(async () => (await import('./commands/run.ts')).runProgram),
    )
    .command(
      'exchange [target..]',
      'All requests to a Service come to this laptop: kt exchange orders --expose 8080',
      (y) => withHoldOptions(y),
      start(async () => (await import('./commands/hold.ts')).exchange),
    )
    .command(
      'mesh [target..]',
      'Requests with a header come to this laptop, the others do not notice: kt mesh orders --versionMark anna',
      (y) => withMeshOptions(y),
      start(async () => (await import('./commands/hold.ts')).mesh),
    )
    .command(
      'preview [target..]',
      'A new Service that is this laptop: kt preview orders-anna --expose 8080:80',
      (y) => withPreviewOptions(y),
      start(async () => (await import('./commands/hold.ts')).preview),
    )
    .command(
      'forward [target..]',
      'Local ports that lead to a Service, or to any address through the cluster: kt forward db 5432',
      (y) => withForwardOptions(y),
      start(async () => (await import('./commands/forward.ts')).forward),
    )
    .command(
      'birdseye',
      'Show the Services of the namespace, who has taken which, and who is connected',
      (y) => withBirdseyeOptions(y),
      start(async () => (await import('./commands/birdseye.ts')).birdseye),
    )
    .command(
      'recover [service]',
      'Give Services back to their original pods whose holder is gone',
      (y) => withRecoverOptions(y),
      start(async () => (await import('./commands/recover.ts')).recover),
    )
    .command(
      'release [name..]',
      'Give Services or forwarded ports up that a session on this laptop holds: kt release orders',
      (y) => y.positional('name', { type: 'string', array: true }).option('plan', PLAN_OPTION),
      start(async () => (await import('./commands/release.ts')).release),
    )
    .command(
      'up',
      "Do what the project's kt.yaml says: connect, take Services, forward ports, start programs",
      (y) =>
        withSessionOptions(y)
          .option('file', { type: 'string', alias: 'f', describe: 'another session file than the nearest kt.yaml' })
          .option('plan', PLAN_OPTION),
      start(async () => (await import('./commands/up.ts')).up),
    )
    .command(
      'down',
      'End what `kt up` of this project does',
      (y) => y.option('file', { type: 'string', alias: 'f', describe: 'its session file' }).option('plan', PLAN_OPTION),
      start(async () => (await import('./commands/up.ts')).down),
    )
    .command(
      'undo',
      'Take back the last change in the cluster that still has an effect: a Service that is held, or what was left',
      (y) => y.option('plan', PLAN_OPTION),
      start(async () => (await import('./commands/undo.ts')).undo),
    )
    .command(
      'ui',
      'Show the running session on a screen',
      (y) => y.option('session', { type: 'string', hidden: true }).option('owner', { type: 'boolean', hidden: true }),
      start(async () => (await import('./commands/ui.ts')).ui),
    )
    // `kt` alone, on a terminal: main.ts says so.
    .command(
      ALONE,
      false,
      (y) => withSessionOptions(y),
      start(async () => (await import('./commands/open.ts')).open),
    )
    .command(
      'status',
      'Show the sessions of this laptop',
      (y) => y,
      start(async () => (await import('./commands/status.ts')).status),
    )
    .command(
      'stop',
      'End a session',
      (y) => y.option('all', { type: 'boolean', describe: 'every session' }).option('plan', PLAN_OPTION),
      start(async () => (await import('./commands/stop.ts')).stop),
    )
    .command(
      'route <host>',
      'Say which way a host goes, and why',
      (y) => y.positional('host', { type: 'string' }),
      start(async () => (await import('./commands/route.ts')).route),
    )
    .command(
      'open <target>',
      'Open a Service in a browser with a profile of its own: kt open svc/gateway',
      (y) =>
        y
          .positional('target', { type: 'string', describe: 'svc/NAME[:PORT][/PATH], or a URL' })
          .option('browser', { type: 'string', describe: 'its path, or its name on PATH' })
          .option('print', { type: 'boolean', default: false, describe: 'only show the URL and the PAC file' }),
      start(async () => (await import('./commands/open-browser.ts')).openBrowser),
    )
    .command(
      'env',
      'Print what `kt run` would set, for shells, .env files and IDEs',
      (y) =>
        withEnvironmentOptions(y).option('format', {
          choices: ['shell', 'powershell', 'cmd', 'dotenv', 'idea', 'vscode', 'json', 'sh'] as const,
          default: 'shell' as const,
          describe: 'for a shell, PowerShell, cmd.exe, a .env file, IntelliJ, VS Code, or as JSON',
        }),
      start(async () => (await import('./commands/env.ts')).env),
    )
    .command(
      'clean',
      'Remove what nobody uses any more: agents, expired holds, what kt-connect left',
      (y) => withCleanOptions(y),
      start(async () => (await import('./commands/clean.ts')).clean),
    )
    .command(
      'doctor',
      'Look at every hop to the cluster, and say the next step where one fails',
      (y) => withDoctorOptions(y),
      start(async () => (await import('./commands/doctor.ts')).doctor),
    )
    .command(
      'demo',
      'Try kt on an embedded playground cluster: no Kubernetes needed',
      (y) => y.option('once', { type: 'boolean', default: false, describe: 'show the answers and end' }),
      start(async () => (await import('./commands/demo.ts')).demo),
    )
    .command(
      'completion <shell>',
      'Print the script that completes commands, flags and live names: source <(kt completion bash)',
      (y) => y.positional('shell', { choices: SHELLS, demandOption: true }),
      start(async () => (await import('./commands/completion.ts')).completion),
    )
    .command(
      'config <action> [word..]',
      'Show and change what is set for every day, keep profiles of it, trust a folder: kt config set namespace shop',
      (y) => withConfigOptions(y),
      start(async () => {
        const { config } = await import('./commands/config.ts');
        return (args) => config(args, (again) => declareCommands(again, start));
      }),
    );
  return yargs;
}

interface Commands {
  command(
    usage: string,
    describe: string | false,
    build: (yargs: Argv) => unknown,
    handler: (args: Arguments) => Promise<void>,
  ): Commands;
}

/** Every command gets what is configured for it as the defaults of its flags. */
function withDefaults(yargs: Argv, defaults: Defaults): Commands {
  const commands: Commands = {
    command(usage, describe, build, handler) {
      const [name = ''] = usage.split(' ');
      const declare = (y: Argv): void => {
        build(y);
        defaults(name === ALONE ? 'connect' : name, y);
      };
      // Two calls, for its types know either a text or false.
      if (describe === false) yargs.command(usage, describe, declare, handler);
      else yargs.command(usage, describe, declare, handler);
      return commands;
    },
  };
  return commands;
}

/** No command, and a terminal at both ends: the screen is what is wanted. */
const opensScreen = ([first = '-']: readonly string[]): boolean =>
  first.startsWith('-') &&
  !['-h', '--help', '-v', '--version'].includes(first) &&
  canDraw() &&
  !process.env['KT_PLAIN'];
