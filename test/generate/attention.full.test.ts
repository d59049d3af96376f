import './attention.test.js';
