import './sequences.test.js';
