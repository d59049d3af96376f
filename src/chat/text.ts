export interface TemplatePiece {
  readonly text: string;
  readonly isTemplate: boolean;
}
