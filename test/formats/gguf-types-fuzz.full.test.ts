import './gguf-types-fuzz.test.js';
