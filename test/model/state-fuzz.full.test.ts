import './state-fuzz.test.js';
