// What scripts find without importing it. Evaluated once in each VU, before the script.
(() => {
  const native = globalThis.__longshore;

  const show = (value) => {
    if (typeof value === 'string') return value;
    if (value === undefined) return 'undefined';
    if (value instanceof Error) return value.stack ? `${value}\n${value.stack}` : `${value}`;
    if (typeof value === 'function' || typeof value === 'symbol') return String(value);
    try {
      return JSON.stringify(value) ?? String(value);
    } catch (error) {
      return '[object Object]';
    }
  };
  const say = (level) => (...values) => native.log(level, values.map(show).join(' '));
  globalThis.console = {
    log: say('info'),
    info: say('info'),
    debug: say('debug'),
    warn: say('warning'),
    error: say('error'),
  };

  // Timers run between the steps of promises; an iteration ends when none is left.
  globalThis.setTimeout = (callback, delay, ...args) => native.timer(() => callback(...args), Number(delay) || 0, false);
  globalThis.setInterval = (callback, delay, ...args) => native.timer(() => callback(...args), Number(delay) || 0, true);
  globalThis.clearTimeout = (id) => native.clearTimer(Number(id) || 0);
  globalThis.clearInterval = globalThis.clearTimeout;

  globalThis.open = native.open;
})();
