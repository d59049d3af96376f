import './families.test.js';
