const native = globalThis.__longshore;

const freeze = (value) => {
  if (value !== null && typeof value === 'object') {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
};

// The elements are kept once for all VUs, as JSON, and parsed when one is looked at.
export class SharedArray {
  constructor(name, make) {
    const id = native.sharedArray(String(name), () => {
      const made = make();
      if (!Array.isArray(made)) throw new TypeError('only arrays can be made into SharedArray');
      return made.map((element) => JSON.stringify(element) ?? 'null');
    });
    const length = native.sharedLength(id);
    const at = (index) => freeze(JSON.parse(native.sharedAt(id, index)));
    const isIndex = (name) => typeof name === 'string' && /^(0|[1-9]\d*)$/.test(name);
    const all = () => Array.from({ length }, (_, index) => at(index));
    return new Proxy([], {
      get: (target, name) => {
        if (name === 'length') return length;
        if (isIndex(name)) return Number(name) < length ? at(Number(name)) : undefined;
        if (name === Symbol.iterator) {
          return function* () {
            for (let index = 0; index < length; index += 1) yield at(index);
          };
        }
        const found = Array.prototype[name];
        return typeof found === 'function' ? (...args) => found.apply(all(), args) : target[name];
      },
      set: () => { throw new TypeError('SharedArray is immutable'); },
      deleteProperty: () => { throw new TypeError('SharedArray is immutable'); },
      has: (target, name) => (isIndex(name) ? Number(name) < length : name in target),
      ownKeys: () => [...Array.from({ length }, (_, index) => String(index)), 'length'],
      getOwnPropertyDescriptor: (target, name) => {
        if (name === 'length') return { value: length, writable: true, enumerable: false, configurable: false };
        return isIndex(name) ? { value: at(Number(name)), enumerable: true, configurable: true } : undefined;
      },
    });
  }
}
export default { SharedArray };
