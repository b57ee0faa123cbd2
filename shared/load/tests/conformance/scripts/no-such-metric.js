// Thresholds of what is not there are refused before anything begins.
export const options = { thresholds: { nothing: ['count>1'] } };

export default function () {
  console.log('never');
}
