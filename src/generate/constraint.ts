/** What an output may be. Can be shared by any number of texts. */
export interface Constraint {
  /** Before the first token. */
  start(): ConstraintState;
}

/** Where a text is in its constraint. */
export interface ConstraintState {
  /** [vocab / 32] one bit for each id, the lowest bit of the first element for id 0: the ids that may come next. Must not be changed. */
  readonly mask: Uint32Array;
  /** Whether the output may end here. */
  readonly complete: boolean;
  /** After `id`. @throws ArgumentError for an id that is not allowed. */
  next(id: number): ConstraintState;
}
