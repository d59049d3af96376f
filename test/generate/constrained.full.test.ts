import './constrained.test.js';
