const native = globalThis.__longshore;

class Metric {
  #id;
  constructor(kind, name, isTime) {
    this.#id = native.declareMetric(kind, name, Boolean(isTime));
    this.name = name;
  }
  add(value, tags) {
    return native.addMetric(this.#id, value, tags);
  }
}

export class Counter extends Metric {
  constructor(name, isTime) { super('counter', name, isTime); }
}
export class Gauge extends Metric {
  constructor(name, isTime) { super('gauge', name, isTime); }
}
export class Rate extends Metric {
  constructor(name, isTime) { super('rate', name, isTime); }
}
export class Trend extends Metric {
  constructor(name, isTime) { super('trend', name, isTime); }
}
export default { Counter, Gauge, Rate, Trend };
