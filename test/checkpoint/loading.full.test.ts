import './loading.test.js';
