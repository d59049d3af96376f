import './operations-fuzz.test.js';
