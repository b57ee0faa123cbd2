const { check, group, sleep, fail, randomSeed } = globalThis.__longshore;
export { check, group, sleep, fail, randomSeed };
export default { check, group, sleep, fail, randomSeed };
