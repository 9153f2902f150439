// What a test file of a hold needs, made and removed by the file's hooks: a laptop with a local service, and a Service of the test's own.
// Used by test/e2e/{exchange-forms,exchange-scale,mesh-manual,recover}.test.ts.
import type { Server } from 'node:http';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { closeApp, localApp, removeShop, TestShop } from './inbound.ts';
import { Laptop, type Running } from './kt.ts';

export class HoldBench {
  readonly laptop = new Laptop();
  /** Says `laptop`; a test may put another one in its place. */
  app!: Server & { port: number };
  shop!: TestShop;

  /** To be called while the file is read. */
  constructor(name: string) {
    beforeAll(async () => {
      this.shop = await TestShop.deploy(name);
      this.app = await localApp('laptop');
    }, 120_000);
    afterEach(() => this.laptop.stopAll());
    afterAll(async () => {
      await this.laptop.close();
      if (this.app.listening) await closeApp(this.app);
      await removeShop(name);
    });
  }

  /** Starts kt with the local service as port 80, and waits until it holds. */
  async hold(...args: readonly string[]): Promise<Running> {
    const running = this.laptop.start([...args, '--expose', `${this.app.port}:80`, '--output', 'json']);
    await running.event('holding');
    return running;
  }
}
