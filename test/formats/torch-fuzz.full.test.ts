import './torch-fuzz.test.js';
