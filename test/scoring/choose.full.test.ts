import './choose.test.js';
