import './random-runs.test.js';
