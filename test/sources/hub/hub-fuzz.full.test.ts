import './hub-fuzz.test.js';
