import './float-models.test.js';
