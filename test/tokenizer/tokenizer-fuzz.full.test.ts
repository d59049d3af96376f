import './tokenizer-fuzz.test.js';
