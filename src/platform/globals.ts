/*
 * Names of the platform that our declarations use. Where a project has the DOM library or Node's types, these are the interfaces that it has
 * there, with nothing added; in one that has neither, the declarations still check.
 */
declare global {
  interface AbortController {}
  interface AbortSignal {}
  interface Blob {}
  interface Cache {}
  interface File {}
  interface Headers {}
  interface Request {}
  interface Response {}
  interface TextDecoder {}
  interface URL {}
  interface Worker {}
}

export {};
