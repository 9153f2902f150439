// The folder on the laptop that stands for a workload's volumes: 0700, files 0600, each file changed in one step so that no program
// reads half of it. Removed at the end; what a killed kt left is removed by the next one. Knows no Kubernetes. Called by open.ts.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isAlive } from '../../session/alive.ts';
import { runtimeFolder } from '../../session/control-paths.ts';

const PREFIX = 'files-';

export class WorkloadFolder {
  readonly path: string;
  #written = new Map<string, Buffer>();

  private constructor(path: string) {
    this.path = path;
  }

  static create(): WorkloadFolder {
    // The sessions' folder is in memory on most systems.
    const parent = runtimeFolder();
    sweep(parent);
    const path = mkdtempSync(join(parent, `${PREFIX}${process.pid}-`));
    chmodSync(path, 0o700);
    return new WorkloadFolder(path);
  }

  /** Where a path of the container is on this laptop. */
  place(path: string): string {
    return join(this.path, ...path.split('/').filter((part) => part !== '' && part !== '.' && part !== '..'));
  }

  /** Makes an empty folder. */
  makeFolder(path: string): void {
    mkdirSync(this.place(path), { recursive: true, mode: 0o700 });
  }

  /** Makes the files these and no others; gives the paths that changed. */
  write(files: ReadonlyMap<string, Buffer>): string[] {
    const changed: string[] = [];
    for (const [path, content] of files) {
      if (this.#written.get(path)?.equals(content)) continue;
      const target = this.place(path);
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      const fresh = `${target}.kt-new`;
      writeFileSync(fresh, content, { mode: 0o600 });
      renameSync(fresh, target);
      this.#written.set(path, content);
      changed.push(path);
    }
    for (const path of this.#written.keys()) {
      if (files.has(path)) continue;
      rmSync(this.place(path), { force: true });
      this.#written.delete(path);
      changed.push(path);
    }
    return changed;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Removes folders whose kt is gone. */
function sweep(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true });
  }
}
