// What yargs says about a command line that it can't read, in kt's words. Pure. Called by parse.ts.

/** `command`: the first word of the line. */
export function usageText(message: string, command = ''): string {
  const choice = /Argument: (\S+), Given: (?:"(.*?)"|(.*?)), Choices: (.*)/.exec(message);
  if (choice) {
    const [, argument = '', text, other = '', choices = ''] = choice;
    return `${argument} takes ${choices.replaceAll('"', '')} and got '${text ?? other}'`;
  }
  if (message.startsWith('Not enough non-option arguments')) return `kt ${command} needs one word more`;
  return message.replaceAll('\n', '. ');
}
