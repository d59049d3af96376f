import './embed.test.js';
