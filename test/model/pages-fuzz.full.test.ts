import './pages-fuzz.test.js';
