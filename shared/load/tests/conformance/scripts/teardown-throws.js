// Teardown that throws.
export function setup() {
  return { a: [1, 2] };
}

export default function (data) {
  console.log(data.a[1]);
}

export function teardown() {
  throw new Error('no teardown');
}
