import './self-test.test.js';
