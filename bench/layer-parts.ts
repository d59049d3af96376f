/** What the time of a decoded token is split into (suite-layers.ts). */
export const LAYER_PARTS = ['token mixer products', 'attention or recurrence', 'channel mixer products', 'head', 'all else'] as const;
