import { ArgumentError, FormatError, show } from '../errors.js';
import type { GgufMetadata } from '../formats/gguf.js';

/** What a model's files hold of chat templates. */
export interface TemplateTexts {
  /** `chat_template.jinja`. */
  readonly jinja?: string;
  /** `additional_chat_templates/NAME.jinja`, by NAME. */
  readonly additional?: Readonly<Record<string, string>>;
  /** `tokenizer_config.json`, parsed. */
  readonly tokenizerConfig?: Readonly<Record<string, unknown>>;
  /** Of a GGUF file. */
  readonly metadata?: GgufMetadata;
}

/** The template that is used where nothing asks for another. */
export const DEFAULT_TEMPLATE = 'default';
/** The one that is used with tools, if there is one. */
const TOOL_TEMPLATE = 'tool_use';

const CONFIG = 'tokenizer_config.json';
const GGUF_KEY = 'tokenizer.chat_template';

/**
 * BitNet's GGUF files carry a template that the model was not trained on: it ends the text before the answer begins. Its mark, and the
 * form that the model knows.
 */
const WRONG_BITNET = 'BITNETAssistant';
const BITNET = "{% for message in messages %}{{ message.role | capitalize }}: {{ (message.content or '') | trim }}<|eot_id|>{% endfor %}"
  + '{% if add_generation_prompt %}Assistant: {% endif %}';

/**
 * The sources of a model's templates by name; without any, the map is empty. `chat_template.jinja` goes before `tokenizer_config.json`, as in
 * transformers; BitNet's wrong template is replaced.
 * @throws FormatError naming file and key.
 */
export function chatTemplateOf({ jinja, additional = {}, tokenizerConfig = {}, metadata }: TemplateTexts): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (jinja !== undefined) found.set(DEFAULT_TEMPLATE, jinja);
  for (const [name, source] of Object.entries(additional)) found.set(name, source);
  if (found.size === 0) readConfig(tokenizerConfig['chat_template'], found);
  if (found.size === 0 && metadata !== undefined) readMetadata(metadata, found);
  for (const [name, source] of found) if (source.includes(WRONG_BITNET)) found.set(name, BITNET);
  return found;
}

/** One template, or a list of `{ name, template }`. */
function readConfig(value: unknown, found: Map<string, string>): void {
  if (value === undefined || value === null) return;
  if (typeof value === 'string') return void found.set(DEFAULT_TEMPLATE, value);
  if (!Array.isArray(value)) throw new FormatError(`${CONFIG}: chat_template is ${show(value)}, neither a text nor a list`);
  value.forEach((entry: unknown, i) => {
    const { name, template } = (typeof entry === 'object' && entry !== null ? entry : {}) as { name?: unknown; template?: unknown };
    if (typeof name !== 'string' || typeof template !== 'string') throw new FormatError(`${CONFIG}: chat_template[${i}] is not a name and a template`);
    found.set(name, template);
  });
}

function readMetadata(metadata: GgufMetadata, found: Map<string, string>): void {
  for (const [key, { value }] of metadata) {
    if (key !== GGUF_KEY && !key.startsWith(`${GGUF_KEY}.`)) continue;
    if (typeof value !== 'string') throw new FormatError(`${key}: is ${show(value)}, not a text`);
    found.set(key.slice(GGUF_KEY.length + 1) || DEFAULT_TEMPLATE, value);
  }
}

/**
 * The source of the template to use: the one of this name, or with tools the one for them, or the default, or the only one there is.
 * Undefined where there is none.
 * @throws ArgumentError for a name that there is not, or where there are several and none is the default.
 */
export function chooseTemplate(templates: ReadonlyMap<string, string>, { name, tools }: { readonly name?: string; readonly tools?: boolean } = {}): string | undefined {
  const names = [...templates.keys()].map(show).join(', ');
  if (name !== undefined) {
    const source = templates.get(name);
    if (source === undefined) throw new ArgumentError(`there is no chat template ${show(name)}; there ${templates.size === 0 ? 'is none' : `are ${names}`}`);
    return source;
  }
  if (templates.size <= 1) return [...templates.values()][0];
  const source = (tools === true ? templates.get(TOOL_TEMPLATE) : undefined) ?? templates.get(DEFAULT_TEMPLATE);
  if (source === undefined) throw new ArgumentError(`the model has several chat templates, none of them the default: name one of ${names}`);
  return source;
}

/** The texts of the control tokens that tokenizer_config.json names, by the names that templates have for them: `bos_token`, `eos_token`, … */
export function controlTokensOf(tokenizerConfig: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tokenizerConfig).flatMap(([name, value]): [string, string][] => {
    if (!name.endsWith('_token')) return [];
    const text: unknown = typeof value === 'object' && value !== null && 'content' in value ? value.content : value;
    return typeof text === 'string' ? [[name, text]] : [];
  }));
}
