// Must: every client of the Java world with which services talk to each other, under the JVM agent: by name, by full name and by address,
// on JDK 17, by name on every newer one here; without the agent it fails. Real servers where one can be had, on loopback, behind a broker.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { httpServer } from '../support/peers.ts';
import { type Outcome, runProgram } from '../support/run-program.ts';
import { ORDERS, POD, type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { findJdks } from './support/jdks.ts';
import { pretendApi, pretendGrpc, pretendMongo, pretendSearch } from './support/pretend.ts';
import { NACOS_CONFIGURATION, pretendNacos } from './support/pretend-nacos.ts';
import {
  libraries,
  needs,
  startKafka,
  startMariadb,
  startPostgres,
  startRabbit,
  startRedis,
  type TestServer,
} from './support/servers.ts';

const jdks = findJdks();
const home17 = jdks.find(({ feature }) => feature === 17)?.home ?? '';
/** Service → its ClusterIP and port. Those of a payload (Redis cluster, Kafka, SRV) are pods'. */
const ADDRESSES = {
  redis: '198.19.20.1',
  'redis-cluster': '198.19.20.2',
  postgres: '198.19.20.3',
  mariadb: '198.19.20.4',
  mongo: '198.19.20.5',
  search: '198.19.20.6',
  grpc: '198.19.20.7',
  rabbit: '198.19.20.8',
  kafka: '198.19.20.9',
  nacos: '198.19.20.10',
} as const;
const REDIS_POD = '198.18.0.21';
const KAFKA_POD = '198.18.0.22';
const MONGO_POD = '198.18.0.23';

let world: ShimWorld;
let folder: string;
let classPath: string;
let apiPort: number;
/** Also those that are still starting: they have to end too. */
const servers: Promise<TestServer>[] = [];
const jars: string[] = [];

beforeAll(async () => {
  await needs({ mariadbd: 'mariadb-server-core', epmd: 'rabbitmq-server' });
  const keep = async (server: Promise<TestServer>): Promise<number> => {
    servers.push(server);
    return (await server).port;
  };
  const kafkaLibraries = await libraries('test/fixtures/kafka-server');
  const clients = await libraries('test/fixtures/jvm-clients');
  jars.push(kafkaLibraries, clients);
  const [redis, cluster, postgres, mariadb, mongo, search, grpc, rabbit, nacos, kafka, web] = await Promise.all([
    keep(startRedis()),
    keep(startRedis(REDIS_POD)),
    keep(startPostgres()),
    keep(startMariadb()),
    keep(pretendMongo()),
    keep(pretendSearch()),
    keep(pretendGrpc()),
    keep(startRabbit()),
    keep(pretendNacos({ ip: POD, port: 8080 })),
    keep(startKafka(join(home17, 'bin/java'), kafkaLibraries, 'kafka-0.kafka.shop.svc.cluster.local:9092')),
    keep(httpServer((_, response) => response.end('orders'))),
  ]);
  apiPort = await keep(pretendApi());
  const at = ADDRESSES;
  world = await shimWorld({
    names: {
      ...Object.fromEntries(Object.entries(at).map(([name, address]) => [name, [address]])),
      'kafka-0.kafka': [KAFKA_POD],
      'mongo-0.mongo': [MONGO_POD],
    },
    ports: {
      [`${ORDERS}:8080`]: web ?? 0,
      [`${at.redis}:6379`]: redis ?? 0,
      [`${at['redis-cluster']}:6379`]: cluster ?? 0,
      [`${REDIS_POD}:6379`]: cluster ?? 0,
      [`${at.postgres}:5432`]: postgres ?? 0,
      [`${at.mariadb}:3306`]: mariadb ?? 0,
      [`${at.mongo}:27017`]: mongo ?? 0,
      [`${MONGO_POD}:27017`]: mongo ?? 0,
      [`${at.search}:9200`]: search ?? 0,
      [`${at.grpc}:50051`]: grpc ?? 0,
      [`${at.rabbit}:5672`]: rabbit ?? 0,
      [`${at.nacos}:9848`]: nacos ?? 0,
      [`${at.kafka}:9092`]: kafka ?? 0,
      [`${KAFKA_POD}:9092`]: kafka ?? 0,
    },
    zone: {
      '_mongodb._tcp.mongo.shop.svc.cluster.local': {
        SRV: [{ priority: 0, weight: 1, port: 27_017, target: 'mongo-0.mongo.shop.svc.cluster.local' }],
      },
      'mongo.shop.svc.cluster.local': { A: [at.mongo] },
    },
  });
  folder = await mkdtemp(join(tmpdir(), 'kt-jvm-clients-'));
  const sources = ['Clients', 'HttpClients', 'NettyClients', 'DataClients', 'MessageClients', 'RegistryClients'];
  const files = sources.map((name) => `test/fixtures/jvm-clients/src/main/java/${name}.java`);
  classPath = `${folder}:${clients}/*`;
  const compiled = await runProgram(
    join(home17, 'bin/javac'),
    ['-nowarn', '-cp', `${clients}/*`, '-d', folder, ...files],
    world.bare(),
  );
  expect(compiled).toMatchObject({ code: 0 });
}, 480_000);
afterAll(async () => {
  await world?.stop();
  await Promise.allSettled(servers.map(async (server) => (await server).stop()));
  for (const one of [folder, ...jars.map(dirname)]) if (one) await rm(one, { recursive: true, force: true });
});

const HTTP = ['HttpURLConnection', 'JDK HttpClient, asking for HTTP/2', 'OkHttp', 'Apache HC5', 'Apache HC5 async'];
const MORE_HTTP = ['Apache HC4', 'Apache HC4 async', 'Jetty client', 'OpenFeign', 'OpenFeign on HC5'];
const TRANSPORTS = ['Netty NIO', 'Netty epoll', 'Netty io_uring'];
const ON_NETTY = [
  'Reactor Netty',
  'Reactor Netty, JVM resolver',
  'Reactor Netty, NIO',
  'Vert.x',
  'Vert.x, native transport',
];
const CACHES = ['Lettuce, cluster', 'Jedis, cluster', 'Redisson', 'Redisson, cluster'];
const SQL = ['PostgreSQL JDBC', 'PostgreSQL JDBC, the first host refuses', 'R2DBC PostgreSQL', 'MySQL Connector/J'];
const MONGO = ['MongoDB', 'MongoDB reactive', 'MongoDB reactive on Netty'];
const all = (names: readonly string[], answer: string): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, answer]));

const ANSWERS: Readonly<Record<string, string>> = {
  ...all(
    [...HTTP, ...MORE_HTTP, ...ON_NETTY, ...TRANSPORTS, ...TRANSPORTS.map((name) => `${name}, own DNS`)],
    'orders',
  ),
  ...all(
    TRANSPORTS.map((name) => `${name}, refused`),
    'ConnectException',
  ),
  'Netty epoll, fast open': 'true',
  'Elasticsearch rest client': 'HTTP/1.1 200 OK',
  'Elasticsearch java client': '9.1.2',
  'fabric8 to the API server': '34',
  'kubernetes client-java to the API server': '34',
  ...all(['Lettuce', 'Jedis'], 'PONG'),
  ...all(CACHES, 'stored'),
  ...all([...SQL, 'MariaDB Connector/J'], 'row'),
  ...all([...MONGO, 'MongoDB by SRV record'], '1.0'),
  ...all(['gRPC netty-shaded', 'gRPC okhttp'], 'hello'),
  ...all(['RabbitMQ', 'RabbitMQ on Netty'], 'declared'),
  'Nacos, configuration': NACOS_CONFIGURATION,
  'Nacos, a registration and the call of an instance': `{ service : orders , path : / , host : ${POD}:8080 }`,
  'Kafka producer and consumer': 'polled from kafka-0.kafka.shop.svc.cluster.local',
};
function run(home: string, options: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  // Nacos' client keeps files at home.
  const more = [`-Dapi=http://127.0.0.1:${apiPort}`, `-Duser.home=${folder}`];
  return runProgram(join(home, 'bin/java'), ['-Xmx700m', ...more, ...options, '-cp', classPath, 'Clients'], env);
}

function checks({ stdout }: Outcome): Record<string, string> {
  const lines = stdout.split('\n').filter((line) => line.startsWith('{"check"'));
  return Object.fromEntries(
    lines.map((line) => {
      const { check, ok, error } = JSON.parse(line) as { check: string; ok?: string; error?: string };
      return [check, error === undefined ? (ok ?? '') : `! ${error}`];
    }),
  );
}

const byFullName = ['orders', ...Object.keys(ADDRESSES)].map((name) => `-Dhost.${name}=${name}.shop.svc.cluster.local`);
const byAddress = Object.entries({ ...ADDRESSES, orders: ORDERS }).map(([name, ip]) => `-Dhost.${name}=${ip}`);

const others = jdks.filter(({ feature }) => feature > 17);

test.each([
  ['JDK 17, by name', home17, []],
  ['JDK 17, by full name', home17, byFullName],
  ['JDK 17, by address', home17, byAddress],
  // The hooks are the same; what differs between JDKs is in shim-jvm.test.ts.
  ...others.map(({ feature, home }) => [`JDK ${feature}, by name`, home, []] as const),
] as const)('all clients on %s', { timeout: 240_000 }, async (_, home, options) => {
  const outcome = await run(home, options, world.environment());
  expect(checks(outcome), outcome.stderr).toEqual(ANSWERS);
});

test('without the agent the same program fails', { timeout: 120_000 }, async () => {
  // Those that give up soon.
  const some = [
    'HttpURLConnection',
    'OkHttp',
    'Apache HC5',
    'Netty NIO',
    'Netty epoll, own DNS',
    'Jedis',
    'PostgreSQL JDBC',
  ];
  const outcome = await runProgram(join(home17, 'bin/java'), ['-cp', classPath, 'Clients', ...some], world.bare());
  const came = checks(outcome);
  expect(Object.keys(came)).toEqual(some);
  for (const answer of Object.values(came)) expect(answer).toMatch(/^! /);
});
