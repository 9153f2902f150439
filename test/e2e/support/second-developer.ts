// A second developer of the cluster with the rights of `dev` and credentials of her own: a ServiceAccount with a token, bound to the same Role.
// Made and removed as admin, in the set-up of tests that need two people on one Service.
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kubectl, type Laptop, UID } from './kt.ts';

export interface Developer {
  readonly kubeconfig: string;
  remove(): Promise<void>;
}

/** `name` is that of the ServiceAccount in `shop`. */
export async function secondDeveloper(laptop: Laptop, name: string): Promise<Developer> {
  const remove = async (): Promise<void> => {
    await kubectl(['-n', 'shop', 'delete', 'serviceaccount,rolebinding', name, '--ignore-not-found'], 'admin');
  };
  await remove();
  await kubectl(['-n', 'shop', 'create', 'serviceaccount', name], 'admin');
  const binding = ['create', 'rolebinding', name, '--role=dev', `--serviceaccount=shop:${name}`];
  await kubectl(['-n', 'shop', ...binding], 'admin');
  const token = (await kubectl(['-n', 'shop', 'create', 'token', name, '--duration=1h'], 'admin')).trim();
  // The cluster as dev knows it, with the token in the place of dev's certificate.
  const text = readFileSync(laptop.kubeconfig('dev'), 'utf8').replace(
    /client-certificate-data: .*\n\s*client-key-data: .*/,
    `token: ${token}`,
  );
  const kubeconfig = join(laptop.home, `${name}.yaml`);
  writeFileSync(kubeconfig, text, { mode: 0o600 });
  chownSync(kubeconfig, UID, UID);
  return { kubeconfig, remove };
}
