import './allocation.test.js';
