import { describe, expect, it } from 'vitest';
import { ArgumentError, FormatError } from 'matmulfree';
import { chatTemplateOf, chooseTemplate, controlTokensOf, type TemplateTexts } from '../../src/chat/template-sources.js';

const text = (value: string) => ({ type: 'string', value }) as const;
const entries = (texts: TemplateTexts): [string, string][] => [...chatTemplateOf(texts)];

describe('the templates of a model', () => {
  it('are in one of several files', () => {
    expect(entries({})).toEqual([]);
    expect(entries({ tokenizerConfig: { chat_template: null } })).toEqual([]);
    expect(entries({ tokenizerConfig: { chat_template: 'C' } })).toEqual([['default', 'C']]);
    const several = [{ name: 'default', template: 'D' }, { name: 'tool_use', template: 'T' }];
    expect(entries({ tokenizerConfig: { chat_template: several } })).toEqual([['default', 'D'], ['tool_use', 'T']]);
    expect(entries({ jinja: 'J', additional: { rag: 'R' }, tokenizerConfig: { chat_template: several } })).toEqual([['default', 'J'], ['rag', 'R']]);
    const metadata = new Map([['tokenizer.chat_template', text('G')], ['tokenizer.chat_template.tool_use', text('T')], ['tokenizer.chat_templates', text('other')], ['general.name', text('N')]]);
    expect(entries({ metadata })).toEqual([['default', 'G'], ['tool_use', 'T']]);
  });

  it.each<[TemplateTexts, string]>([
    [{ tokenizerConfig: { chat_template: 5 } }, 'tokenizer_config.json: chat_template is 5, neither a text nor a list'],
    [{ tokenizerConfig: { chat_template: [{ name: 'a' }] } }, 'tokenizer_config.json: chat_template[0] is not a name and a template'],
    [{ tokenizerConfig: { chat_template: [null] } }, 'tokenizer_config.json: chat_template[0] is not a name and a template'],
    [{ metadata: new Map([['tokenizer.chat_template', { type: 'u32', value: 5 } as const]]) }, 'tokenizer.chat_template: is 5, not a text'],
  ])('%j are no templates', (texts, message) => {
    expect(() => chatTemplateOf(texts)).toThrow(new FormatError(message));
  });

  it('are chosen by name, by whether there are tools, or as the default', () => {
    const three = new Map([['default', 'D'], ['tool_use', 'T'], ['rag', 'R']]);
    expect(chooseTemplate(three)).toBe('D');
    expect(chooseTemplate(three, { tools: true })).toBe('T');
    expect(chooseTemplate(three, { tools: true, name: 'rag' })).toBe('R');
    expect(chooseTemplate(new Map([['default', 'D']]), { tools: true })).toBe('D');
    expect(chooseTemplate(new Map([['rag', 'R']]))).toBe('R');
    expect(chooseTemplate(new Map())).toBeUndefined();
    expect(() => chooseTemplate(three, { name: 'x' })).toThrow(new ArgumentError('there is no chat template "x"; there are "default", "tool_use", "rag"'));
    expect(() => chooseTemplate(new Map(), { name: 'x' })).toThrow(new ArgumentError('there is no chat template "x"; there is none'));
    expect(() => chooseTemplate(new Map([['a', 'A'], ['b', 'B']]))).toThrow(new ArgumentError('the model has several chat templates, none of them the default: name one of "a", "b"'));
  });

  it('know control tokens by name', () => {
    expect(controlTokensOf({ bos_token: '<s>', eos_token: { content: '</s>', lstrip: false }, pad_token: null, add_bos_token: true, model_max_length: 5 })).toEqual({ bos_token: '<s>', eos_token: '</s>' });
  });
});
