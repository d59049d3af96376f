import './session.test.js';
