const { b64encode, b64decode } = globalThis.__longshore;
export { b64encode, b64decode };
export default { b64encode, b64decode };
