import './safetensors-fuzz.test.js';
