// What is no JavaScript is refused.
export default function () {
  const = 1;
}
