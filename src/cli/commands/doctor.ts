// `kt doctor`: every hop to the cluster with its time and verdict; --rbac prints the Role to ask for, --shared-agent what a platform team may
// run for those without rights, --report writes a file to send.
// Exit code 0 where nothing failed, else that of the first failure. What is looked at is modes/doctor.
import { readFileSync, writeFileSync } from 'node:fs';
import { asset } from '../../assets.ts';
import { forwardRights } from '../../cluster/access.ts';
import { loadClusterConfig } from '../../cluster/config.ts';
import { ClusterApi } from '../../cluster/rest.ts';
import { sharedAgentYaml } from '../../cluster/shared-agent.ts';
import { whoAmI } from '../../cluster/whoami.ts';
import { ERROR_CODES, KtError } from '../../errors.ts';
import { diagnose } from '../../modes/doctor/doctor.ts';
import { roleRequest } from '../../modes/doctor/rbac.ts';
import { reportText } from '../../modes/doctor/report.ts';
import type { Diagnosis } from '../../session/findings.ts';
import { type Arguments, text } from '../arguments.ts';
import { whereOf } from '../cluster-api.ts';
import { endSignals } from '../end-signals.ts';
import { sessionArguments } from '../options.ts';
import { type Output, outputOf } from '../output.ts';
import { findingLines, summary } from '../view/doctor.ts';

export async function doctor(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  try {
    if (args['rbac'] !== undefined) return await printRole(args, output, signals.signal);
    if (args['sharedAgent'] === true) return await printSharedAgent(args, output, version);
    const file = text(args, 'report');
    // Before anything is looked at: a folder that is not there must not cost the answer.
    if (file !== undefined) writeReport(file, '');
    const options = { ...sessionArguments(args), version, env: process.env, readOnly: args['readOnly'] === true };
    let last: string | undefined;
    const diagnosis = await diagnose(
      options,
      (finding) => {
        if (output.json) return;
        for (const line of findingLines(finding, finding.check === last)) process.stdout.write(`${line}\n`);
        last = finding.check;
      },
      signals.signal,
    );
    output.result(diagnosis, [summary(diagnosis.findings)]);
    if (file !== undefined) await report(file, diagnosis, args, signals.signal);
    const failed = diagnosis.findings.find(({ verdict }) => verdict === 'failed');
    if (signals.signal.aborted) throw new KtError('CANCELLED', 'cancelled');
    return failed ? ERROR_CODES[failed.code ?? 'INTERNAL'] : 0;
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}

async function report(file: string, diagnosis: Diagnosis, args: Arguments, signal: AbortSignal): Promise<void> {
  const config = await loadClusterConfig(whereOf(args)).catch(() => undefined);
  const credentials = await config?.credentials.current(signal).catch(() => undefined);
  writeReport(file, reportText({ diagnosis, env: process.env, config, credentials }));
  process.stderr.write(`written: ${file} (without secrets; read it before you send it)\n`);
}

function writeReport(file: string, content: string): void {
  try {
    writeFileSync(file, content, { mode: 0o600 });
  } catch (cause) {
    throw new KtError('USAGE', `--report can't write ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** What the platform team applies once for users who may not create pods. */
async function printSharedAgent(args: Arguments, output: Output, version: string): Promise<number> {
  const { namespace } = await loadClusterConfig(whereOf(args));
  const code = readFileSync(asset('agent.mjs'), 'utf8');
  const manifest = sharedAgentYaml({ namespace, code, version, ...sessionArguments(args).placement });
  output.result({ namespace, manifest }, [manifest.trimEnd()]);
  return 0;
}

/** The Role for modes, with the name that the server knows the user by, where it can be asked. */
async function printRole(args: Arguments, output: Output, signal: AbortSignal): Promise<number> {
  const words = Array.isArray(args['rbac']) ? args['rbac'].map(String) : [];
  const modes = words.flatMap((word) => word.split(',')).filter((word) => word !== '');
  const config = await loadClusterConfig(whereOf(args));
  const api = new ClusterApi(config);
  try {
    // The user may have no rights at all yet, or no way to the server: the Role can be printed all the same.
    const user = await whoAmI(api, signal).catch(() => null);
    const name = user?.name ?? config.user;
    const forward = user === null ? undefined : await forwardRights(api, signal);
    if (signal.aborted) throw new KtError('CANCELLED', 'cancelled');
    const role = roleRequest({
      modes,
      namespace: config.namespace,
      user: name,
      forward,
      helpful: args['helpful'] === true,
    });
    output.result({ namespace: config.namespace, user: name, modes, role }, [role.trimEnd()]);
    return 0;
  } finally {
    api.close();
  }
}
