// The local service of `kt demo`: the team's `orders` as somebody changed it on this laptop. An ordinary program, it knows nothing of kt.
// Says its port in its first line; asks the next service by the name that a pod would use.
import { createServer } from 'node:http';

const passedOn = (headers) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-') || name === 'baggage'));

async function orders(request) {
  const next = await fetch('http://stock:8080/', { headers: passedOn(request.headers) });
  return { name: 'orders', place: 'on this laptop', url: request.url, next: await next.json() };
}

const server = createServer((request, response) => {
  orders(request).then(
    (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`),
    (error) => response.writeHead(502).end(`${error.cause ?? error}\n`),
  );
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
