import { describe, expect, it } from 'vitest';
import { ArgumentError, TokenizerError } from '../../src/errors.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { tiny } from './helpers.js';

const model = (changes: Record<string, unknown>): unknown => ({ model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'], ...changes } });
const file = (changes: Record<string, unknown>): unknown => ({ ...(model({}) as object), ...changes });
const added = (token: unknown): unknown => file({ added_tokens: [token] });
const template = (changes: Record<string, unknown>): unknown =>
  file({ post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: 'x' } }], special_tokens: { x: { ids: [0] } }, ...changes } });

it('starts from a file that is fine', async () => {
  expect((await Tokenizer.fromJSON(file({}))).encode('ab')).toEqual([2]);
  expect((await Tokenizer.fromJSON(template({}))).encode('ab')).toEqual([0]);
});

describe('a file that is not fine is refused with its name, the key and what is wrong', () => {
  it.each<[string, unknown, string, string?]>([
    ['not an object', 'text', 'top level', 'expected an object'],
    ['nothing', undefined, 'top level'],
    ['a list', [], 'top level', 'a list'],
    ['no model', {}, 'model', 'found nothing'],
    ['model a list', { model: [] }, 'model'],
    ['WordPiece', model({ type: 'WordPiece' }), 'model.type', '"WordPiece"'],
    ['Unigram', model({ type: 'Unigram' }), 'model.type', '"Unigram"'],
    ['no type, no merges', { model: { vocab: {} } }, 'model.type'],
    ['no vocab', model({ vocab: undefined }), 'model.vocab', 'found nothing'],
    ['vocab a list', model({ vocab: [['a', 0]] }), 'model.vocab'],
    ['id a string', model({ vocab: { a: '0' } }), 'model.vocab', '"a"'],
    ['id negative', model({ vocab: { a: -1 } }), 'model.vocab', '"a"'],
    ['id not whole', model({ vocab: { a: 0.5 } }), 'model.vocab', '"a"'],
    ['id absurd', model({ vocab: { a: 2 ** 24 + 1 } }), 'model.vocab', '"a"'],
    ['id twice', model({ vocab: { a: 0, b: 0 } }), 'model.vocab', 'two tokens, "a" and "b"'],
    ['no merges', model({ merges: undefined }), 'model.merges', 'expected a list'],
    ['merge a number', model({ merges: ['a b', 7] }), 'model.merges[1]'],
    ['merge of three', model({ merges: ['a b c'] }), 'model.merges[0]'],
    ['merge pair of numbers', model({ merges: [[0, 1]] }), 'model.merges[0]'],
    ['merge of an unknown piece', model({ merges: ['a b', 'a c'] }), 'model.merges[1]', '"c" is not in the vocabulary'],
    ['merge into an unknown piece', model({ merges: ['b a'] }), 'model.merges[0]', '"ba" is not in the vocabulary'],
    ['merge without the prefix', model({ continuing_subword_prefix: '##' }), 'model.merges[0]', '"##"'],
    ['unk_token unknown', model({ unk_token: '<unk>' }), 'model.unk_token', '"<unk>"'],
    ['unk_token a number', model({ unk_token: 0 }), 'model.unk_token', 'expected a string'],
    ['byte_fallback a string', model({ byte_fallback: 'yes' }), 'model.byte_fallback', 'expected true or false'],
    ['fuse_unk a number', model({ fuse_unk: 1 }), 'model.fuse_unk'],
    ['added_tokens an object', file({ added_tokens: {} }), 'added_tokens'],
    ['added token a string', added('x'), 'added_tokens[0]'],
    ['added token without content', added({ id: 5 }), 'added_tokens[0].content'],
    ['added token without id', added({ content: 'x' }), 'added_tokens[0].id'],
    ['added token, id absurd', added({ content: 'x', id: 2 ** 25 }), 'added_tokens[0].id'],
    ['added token, id of another', added({ content: 'x', id: 1 }), 'added_tokens[0]', 'belongs to two tokens'],
    ['added token, second id', added({ content: 'a', id: 9 }), 'added_tokens[0]', 'two ids, 0 and 9'],
    ['added token, half a pair', added({ content: '\ud800', id: 9 }), 'added_tokens[0].content'],
    ['added token, flag', added({ content: 'x', id: 9, lstrip: 1 }), 'added_tokens[0].lstrip'],
    ['normalizer', file({ normalizer: { type: 'BertNormalizer' } }), 'normalizer', '"BertNormalizer"'],
    ['normalizer without type', file({ normalizer: {} }), 'normalizer.type'],
    ['normalizer within', file({ normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Nope' }] } }), 'normalizer.normalizers[1]', '"Nope"'],
    ['Replace without pattern', file({ normalizer: { type: 'Replace', pattern: {}, content: '' } }), 'normalizer.pattern'],
    ['Replace with groups', file({ normalizer: { type: 'Replace', pattern: { Regex: '(a)' }, content: '$1' } }), 'normalizer.content'],
    ['pre-tokenizer', file({ pre_tokenizer: { type: 'UnicodeScripts' } }), 'pre_tokenizer', '"UnicodeScripts"'],
    ['pre-tokenizer within', file({ pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Nope' }] } }), 'pre_tokenizer.pretokenizers[0]', '"Nope"'],
    ['Split behaviour', file({ pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Odd' } }), 'pre_tokenizer.behavior', '"Odd"'],
    ['Split regex', file({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(a)\\1' }, behavior: 'Isolated' } }), 'pre_tokenizer.pattern.Regex', '\\1'],
    ['Metaspace mark', file({ pre_tokenizer: { type: 'Metaspace', replacement: 'xy' } }), 'pre_tokenizer.replacement', '"xy"'],
    ['Metaspace scheme', file({ pre_tokenizer: { type: 'Metaspace', replacement: '_', prepend_scheme: 'odd' } }), 'pre_tokenizer.prepend_scheme', '"odd"'],
    ['Metaspace, both and unlike', file({ pre_tokenizer: { type: 'Metaspace', replacement: '_', prepend_scheme: 'always', add_prefix_space: false } }), 'pre_tokenizer.add_prefix_space'],
    ['Digits without flag', file({ pre_tokenizer: { type: 'Digits' } }), 'pre_tokenizer.individual_digits'],
    ['post-processor', file({ post_processor: { type: 'BertProcessing' } }), 'post_processor', '"BertProcessing"'],
    ['template for pairs', template({ single: [{ Sequence: { id: 'B' } }] }), 'post_processor.single[0].Sequence.id', '"B"'],
    ['template, odd piece', template({ single: ['x'] }), 'post_processor.single[0]'],
    ['template, unlisted token', template({ single: [{ SpecialToken: { id: 'constructor' } }] }), 'post_processor.single[0].SpecialToken.id', '"constructor"'],
    ['template, unknown id', template({ special_tokens: { x: { ids: [77] } } }), 'post_processor.special_tokens.x.ids[0]', '77'],
    ['decoder', file({ decoder: { type: 'CTC' } }), 'decoder', '"CTC"'],
    ['decoder within', file({ decoder: { type: 'Sequence', decoders: [{ type: 'WordPiece' }] } }), 'decoder.decoders[0]', '"WordPiece"'],
    ['decoder Strip', file({ decoder: { type: 'Strip', content: ' ', start: -1, stop: 0 } }), 'decoder.start'],
  ])('%s', async (_, json, path, detail = '') => {
    let error: unknown;
    try {
      await Tokenizer.fromJSON(json, { file: 'my/tokenizer.json' });
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(TokenizerError);
    const { message } = error as Error;
    expect(message).toContain(`my/tokenizer.json: ${path}: `);
    expect(message).toContain(detail);
  });

  it('components nested without end', async () => {
    let normalizer: unknown = { type: 'NFC' };
    for (let i = 0; i < 5000; i++) normalizer = { type: 'Sequence', normalizers: [normalizer] };
    await expect(Tokenizer.fromJSON(file({ normalizer }))).rejects.toThrow(/tokenizer\.json: normalizer.*nested deeper than 64 levels/);
  });

  it('names tokenizer_config.json where that is wrong', async () => {
    const build = (config: unknown) => Tokenizer.fromJSON(file({}), { config });
    await expect(build({ bos_token: 3 })).rejects.toThrow(/tokenizer_config\.json: bos_token: /);
    await expect(build('text')).rejects.toThrow(/tokenizer_config\.json: top level: /);
    await expect(build({ eos_token: {} })).rejects.toThrow(/tokenizer_config\.json: eos_token\.content: /);
  });

  it('refuses to encode what is not text', () => {
    expect(() => tiny(['a']).encode(5 as unknown as string)).toThrow(ArgumentError);
  });
});
