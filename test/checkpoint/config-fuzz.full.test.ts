import './config-fuzz.test.js';
