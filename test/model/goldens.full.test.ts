import './goldens.test.js';
