// The Node program of `kt demo`: an ordinary one, it knows nothing of kt. Reads from the shop by the names a pod would use.
import { once } from 'node:events';
import { connect } from 'node:net';

const answer = await fetch('http://gateway/', { headers: { 'x-request-from': 'laptop' } });
const body = await answer.json();
console.log(`  http://gateway          → ${answer.status} from pod ${body.pod}, through ${chain(body).join(' → ')}`);

const database = connect(5432, 'db-0.db');
database.setEncoding('utf8');
database.end('SET greeting hello from the laptop\nGET greeting\n');
let text = '';
database.on('data', (chunk) => {
  text += chunk;
});
await once(database, 'close');
console.log(`  db-0.db:5432 (raw TCP)  → ${text.trim().split('\n').at(-1)}`);

function chain(one) {
  return one?.name ? [one.name, ...chain(one.next)] : [];
}
