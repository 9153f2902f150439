// `kt` alone, on a terminal: the screen of the session that runs, or a new session with its screen.
import { findSessions } from '../../session/control-client.ts';
import { type Arguments, text } from '../arguments.ts';
import { connect } from './connect.ts';
import { ui } from './ui.ts';

export async function open(args: Arguments, version: string): Promise<number> {
  const [namespace, context] = [text(args, 'namespace'), text(args, 'context')];
  const running = (await findSessions()).some(
    ({ status }) =>
      (namespace === undefined || status.namespace === namespace) &&
      (context === undefined || status.context === context),
  );
  return running ? ui(args, version) : connect(args, version);
}
