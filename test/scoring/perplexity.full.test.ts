import './perplexity.test.js';
