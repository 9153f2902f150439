// A pretend Nacos for its Java client: gRPC, in Nacos' own frame of a type's name and JSON (nacos_grpc_service.proto: Payload, Metadata). Knows one
// configuration and one instance of one service; takes every registration. Loopback, a random port, which has to be the client's port + 1000.
import { Server, ServerCredentials, type ServerDuplexStream, type sendUnaryData } from '@grpc/grpc-js';
import type { TestServer } from './servers.ts';

/** What the client asks under `orders.properties`. */
export const NACOS_CONFIGURATION = 'stock.url=http://stock:8080';

interface Payload {
  readonly type: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Fields of one protobuf message that are bytes, by number; no other wire type stands in these messages. */
function fields(message: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const number = varint() >> 3;
    const length = varint();
    found.set(number, message.subarray(at, at + length));
    at += length;
  }
  return found;
}

function field(number: number, content: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = content.length; ; rest >>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
}

/** Payload: 2 is the metadata (3: the type's name), 3 is the body, a google.protobuf.Any (2: its bytes). */
function decode(message: Buffer): Payload {
  const payload = fields(message);
  const type = String(fields(payload.get(2) ?? Buffer.alloc(0)).get(3) ?? '');
  const body = String(fields(payload.get(3) ?? Buffer.alloc(0)).get(2) ?? '{}');
  return { type, body: JSON.parse(body) as Record<string, unknown> };
}

function encode({ type, body }: Payload): Buffer {
  return Buffer.concat([
    field(2, field(3, Buffer.from(type))),
    field(3, field(2, Buffer.from(JSON.stringify({ resultCode: 200, errorCode: 0, ...body })))),
  ]);
}

/** `instance`: where the service `orders` is. */
function answerTo({ type, body }: Payload, instance: { ip: string; port: number }): Payload {
  const of = (answer: string, more: object = {}): Payload => ({
    type: answer,
    body: { requestId: body['requestId'], ...more },
  });
  switch (type) {
    case 'ServerCheckRequest':
      return of('ServerCheckResponse', { connectionId: 'test', supportAbilityNegotiation: false });
    case 'ConfigQueryRequest':
      return of('ConfigQueryResponse', { content: NACOS_CONFIGURATION, contentType: 'properties', md5: 'x' });
    case 'ConfigBatchListenRequest':
      return of('ConfigChangeBatchListenResponse', { changedConfigs: [] });
    case 'InstanceRequest':
      return of('InstanceResponse', { type: body['type'] });
    case 'SubscribeServiceRequest': {
      const serviceName = 'DEFAULT_GROUP@@orders';
      const host = { ...instance, serviceName, weight: 1, healthy: true, enabled: true, ephemeral: true, metadata: {} };
      const serviceInfo = { name: 'orders', groupName: 'DEFAULT_GROUP', cacheMillis: 10_000, lastRefTime: 1 };
      return of('SubscribeServiceResponse', { serviceInfo: { ...serviceInfo, hosts: [host] } });
    }
    case 'HealthCheckRequest':
      return of('HealthCheckResponse');
    default:
      return of('ErrorResponse', { resultCode: 500, errorCode: 1, message: `no answer to ${type}` });
  }
}

export function pretendNacos(instance: { ip: string; port: number }): Promise<TestServer> {
  const server = new Server();
  const codec = {
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  };
  server.addService(
    {
      request: { path: '/Request/request', requestStream: false, responseStream: false, ...codec },
      stream: { path: '/BiRequestStream/requestBiStream', requestStream: true, responseStream: true, ...codec },
    },
    {
      request: ({ request }: { request: Payload }, callback: sendUnaryData<Payload>) =>
        callback(null, answerTo(request, instance)),
      // For what the server says by itself, which is nothing here.
      stream: (call: ServerDuplexStream<Payload, Payload>) => void call.resume().on('error', () => undefined),
    },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve({ port, stop: async () => server.forceShutdown() });
    });
  });
}
