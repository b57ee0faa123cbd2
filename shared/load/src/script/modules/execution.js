const { execution, abort, vuTag, vuTags } = globalThis.__longshore;

const getters = (names) => {
  const made = {};
  for (const [name, path] of Object.entries(names)) {
    Object.defineProperty(made, name, { enumerable: true, get: () => execution(path) });
  }
  return made;
};

export const scenario = getters({
  name: 'scenario.name',
  executor: 'scenario.executor',
  startTime: 'scenario.startTime',
  progress: 'scenario.progress',
  iterationInInstance: 'scenario.iterationInInstance',
  iterationInTest: 'scenario.iterationInTest',
});
export const instance = getters({
  iterationsInterrupted: 'instance.iterationsInterrupted',
  iterationsCompleted: 'instance.iterationsCompleted',
  vusActive: 'instance.vusActive',
  vusInitialized: 'instance.vusInitialized',
  currentTestRunDuration: 'instance.currentTestRunDuration',
});
export const test = getters({ options: 'test.options' });
test.abort = (reason) => abort(reason === undefined ? 'test aborted' : String(reason));

export const vu = getters({
  idInInstance: 'vu.id',
  idInTest: 'vu.id',
  iterationInInstance: 'vu.iterationInInstance',
  iterationInScenario: 'vu.iterationInScenario',
});
const tags = new Proxy({}, {
  get: (_, name) => (typeof name === 'string' ? vuTag(name) : undefined),
  set: (_, name, value) => vuTag(String(name), value),
  deleteProperty: (_, name) => vuTag(String(name), null),
  ownKeys: () => Object.keys(vuTags()),
  has: (_, name) => name in vuTags(),
  getOwnPropertyDescriptor: (_, name) => {
    const value = vuTags()[name];
    return value === undefined ? undefined : { value, enumerable: true, configurable: true, writable: true };
  },
});
vu.metrics = { tags, metadata: {} };
vu.tags = tags;

export default { scenario, instance, test, vu };
