import './pieces.test.js';
