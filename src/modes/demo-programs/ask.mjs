// Asks a service of `kt demo` and prints the way of the request: node ask.mjs URL [NAME:VALUE]. An ordinary program.
const [url, header] = process.argv.slice(2);
const headers = header === undefined ? {} : { [header.split(':')[0]]: header.slice(header.indexOf(':') + 1).trim() };

const answer = await fetch(url, { headers });
const body = await answer.json();
console.log(`  ${answer.status}, through ${chain(body).join(' → ')}`);

function chain(one) {
  if (!one?.name) return [];
  return [one.place ? `${one.name} (${one.place})` : one.name, ...chain(one.next)];
}
