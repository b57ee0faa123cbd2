// Without setup there is no run.
export function setup() {
  throw new Error('no setup');
}

export default function () {
  console.log('never');
}
