import './gguf-fuzz.test.js';
