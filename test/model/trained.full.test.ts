import './trained.test.js';
