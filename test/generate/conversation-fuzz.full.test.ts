import './conversation-fuzz.test.js';
