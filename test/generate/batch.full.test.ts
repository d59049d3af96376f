import './batch.test.js';
