// Small pretend servers for clients whose real servers are too large for a test: MongoDB's wire protocol (hello and ping), Elasticsearch's
// first answer, a gRPC echo, an API server that knows its version. Loopback, random ports.

import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server as TcpServer } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { TestServer } from './servers.ts';

async function listening(server: TcpServer): Promise<TestServer> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        (server as { closeAllConnections?: () => void }).closeAllConnections?.();
      }),
  };
}

/** One BSON document of booleans, doubles, 32-bit integers and strings. */
function bson(fields: Readonly<Record<string, boolean | number | string>>): Buffer {
  const parts = Object.entries(fields).map(([name, value]) => {
    const key = Buffer.from(`${name}\0`);
    if (typeof value === 'boolean') return Buffer.concat([Buffer.from([8]), key, Buffer.from([value ? 1 : 0])]);
    if (typeof value === 'string') {
      const text = Buffer.from(`${value}\0`);
      const length = Buffer.alloc(4);
      length.writeInt32LE(text.length);
      return Buffer.concat([Buffer.from([2]), key, length, text]);
    }
    const number = Buffer.alloc(Number.isInteger(value) && name !== 'ok' ? 4 : 8);
    if (number.length === 4) number.writeInt32LE(value);
    else number.writeDoubleLE(value);
    return Buffer.concat([Buffer.from([number.length === 4 ? 16 : 1]), key, number]);
  });
  const body = Buffer.concat([...parts, Buffer.from([0])]);
  const length = Buffer.alloc(4);
  length.writeInt32LE(body.length + 4);
  return Buffer.concat([length, body]);
}

const HELLO = {
  isWritablePrimary: true,
  ismaster: true,
  helloOk: true,
  maxBsonObjectSize: 16_777_216,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  minWireVersion: 0,
  maxWireVersion: 25,
  readOnly: false,
  ok: 1,
};

/** Answers every command with what a lonely server says to `hello`; that is enough for a driver's ping. */
export function pretendMongo(): Promise<TestServer> {
  const server = createServer((socket) => {
    let held = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (piece: Buffer) => {
      held = Buffer.concat([held, piece]);
      while (held.length >= 16 && held.length >= held.readInt32LE(0)) {
        const message = held.subarray(0, held.readInt32LE(0));
        held = held.subarray(message.length);
        socket.write(mongoReply(message.readInt32LE(4), message.readInt32LE(12)));
      }
    });
  });
  return listening(server);
}

/** OP_MSG (2013), or OP_REPLY (1) to an OP_QUERY (2004). */
function mongoReply(request: number, opcode: number): Buffer {
  const legacy = opcode === 2004;
  const front = Buffer.alloc(legacy ? 20 : 5);
  if (legacy) {
    front.writeInt32LE(8, 0);
    front.writeInt32LE(1, 16);
  }
  const body = Buffer.concat([front, bson(HELLO)]);
  const header = Buffer.alloc(16);
  header.writeInt32LE(body.length + 16, 0);
  header.writeInt32LE(1, 4);
  header.writeInt32LE(request, 8);
  header.writeInt32LE(legacy ? 1 : 2013, 12);
  return Buffer.concat([header, body]);
}

export function pretendSearch(): Promise<TestServer> {
  const version = {
    number: '9.1.2',
    build_flavor: 'default',
    build_hash: 'x',
    build_date: '2025-01-01T00:00:00Z',
    build_snapshot: false,
    build_type: 'tar',
    lucene_version: '10',
    minimum_wire_compatibility_version: '8.0.0',
    minimum_index_compatibility_version: '8.0.0',
  };
  const info = { name: 'search', cluster_name: 'c', cluster_uuid: 'u', version, tagline: 'You Know, for Search' };
  return listening(
    createHttpServer((request, response) => {
      const accepts = (request.headers.accept ?? 'application/json').split(',')[0] ?? '';
      response.setHeader('content-type', accepts.includes('json') ? accepts : 'application/json');
      response.setHeader('x-elastic-product', 'Elasticsearch');
      response.end(JSON.stringify(info));
    }),
  );
}

export function pretendApi(): Promise<TestServer> {
  const version = { major: '1', minor: '34', gitVersion: 'v1.34.4', gitCommit: 'x', gitTreeState: 'clean' };
  const more = { buildDate: '2025-01-01T00:00:00Z', goVersion: 'go', compiler: 'gc', platform: 'linux/amd64' };
  return listening(
    createHttpServer((_, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ ...version, ...more }));
    }),
  );
}

/** `kt.Echo/Say`, bytes for bytes. */
export function pretendGrpc(): Promise<TestServer> {
  const same = (bytes: Buffer): Buffer => bytes;
  const server = new Server();
  server.addService(
    {
      say: {
        path: '/kt.Echo/Say',
        requestStream: false,
        responseStream: false,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    },
    {
      say: (call: { request: Buffer }, callback: (error: null, answer: Buffer) => void) => callback(null, call.request),
    },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve({ port, stop: async () => server.forceShutdown() });
    });
  });
}
