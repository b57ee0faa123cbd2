// Shared arrays, encoding, JSON.
import { SharedArray } from 'k6/data';
import encoding from 'k6/encoding';
import { randomSeed } from 'k6';

const users = new SharedArray('users', () => JSON.parse('[{"name":"a"},{"name":"b"},{"name":"c"}]'));

export const options = { vus: 2, iterations: 2 };

export default function () {
  console.log(users.length, users[1].name, users.map((user) => user.name).join(), users[9]);
  let names = '';
  for (const user of users) names += user.name;
  console.log(names);
  console.log(encoding.b64encode('hällo?'), encoding.b64encode('hällo?', 'rawurl'), encoding.b64decode('aGk=', 'std', 's'));
  randomSeed(1);
  console.log(typeof Math.random());
}
