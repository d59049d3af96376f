/** Nothing but files of this server: no `blob:`, no inline scripts. */
export const STRICT = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src data:";
export const NO_WASM = STRICT.replace(" 'wasm-unsafe-eval'", '');
