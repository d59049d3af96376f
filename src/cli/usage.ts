import { BACKEND_NAMES } from '../index.js';
import { commandList } from './chat-commands.js';
import { DEFAULT_HOST, DEFAULT_PORT } from './http-server.js';
import { CHAT_MAX_NEW_TOKENS, DEFAULT_TEMPERATURE, DEFAULT_TOP_P } from './writing.js';

/** What `--help` says. */

const GENERAL = `matmulfree: run ternary language models on the CPU (MatMul-free LMs, BitNet, Bonsai)

Usage: matmulfree <command> [options]

Commands:
  generate [prompt]   write on from a prompt, streaming ("Once upon a time" by default)
  chat                talk with a model that has a chat template
  serve               the model behind OpenAI's API, for other programs and machines
  score               how well a model predicts a text: negative log-likelihood, perplexity
  perplexity          the same for a long text, also per byte and word, or in windows
  eval                zero-shot tasks: multiple choice, last words
  info [file]         what a model is made of: weights, zeros, operations per token; what stands in a file
  convert             turn a checkpoint into one GGUF file that loads fast, or a folder of packed safetensors
  prune               which layers change little, and a model without some of them
  models              list published models: what they take, and what they are good for
  cache               list the models that were downloaded, or remove them

Without --model, generate, serve, score, perplexity, eval, info and prune use the small model of children's stories that comes with the package.

Examples:
  matmulfree generate "The dragon" --seed 7
  matmulfree chat --model hf:tiiuae/Falcon-E-1B-Instruct
  matmulfree serve --model hf:owner/name --port 8080
  matmulfree score --text-file story.txt
  matmulfree info --model ./MMfreeLM-370M
  matmulfree generate "The history of" --model hf:ridger/MMfreeLM-370M
  matmulfree convert --model ./MMfreeLM-370M --out mmfree-370m.gguf

matmulfree <command> --help tells more; matmulfree --version tells which this is.`;

/** Of a file that does not say. */
const I2S = `  --i2s-layout A|B      of a GGUF file of the type I2_S: A (default), or B, which bitnet.cpp writes on ARM since November 2025; with
                        the wrong one a model writes nonsense`;

const MODEL = `  --model SOURCE        a folder (config.json, *.safetensors or pytorch_model.bin, tokenizer.json) or a .gguf file, on
                        disk or under a URL; hf:owner/name[@revision][/file.gguf] from the Hugging Face Hub (HF_TOKEN
                        for private models)
  --backend NAME        auto (default: the fastest there is), ${BACKEND_NAMES.join(', ')}
  --threads N           threads to use (default auto: one less than there are processors)
                        Neither changes a bit of the result.
  --context-tokens N    of a model with attention: tokens whose keys and values there is memory for (default 8192; fewer
                        where the model takes no text as long, and that saves more than 64 MB)
${I2S}`;

const WRITING = `  --temperature T       0 = always the likeliest token, higher = more surprising (default ${DEFAULT_TEMPERATURE}); also -t
  --top-p P             choose among the likeliest tokens that make up P of the probability (default ${DEFAULT_TOP_P})
  --top-k K             choose among the K likeliest tokens (default: all)
  --min-p P             leave out tokens less likely than P times the likeliest (default 0)
  --typical-p P         keep the P of the probability whose surprise is nearest to what is usual (default 1: all)
  --repetition-penalty R, --frequency-penalty F, --presence-penalty F, --penalty-window N
                        make what is there already less likely (defaults 1, 0, 0); 1.1 and a window of 64 are usual
  --seed N              same seed, same text (default: a new one each time)
  --stop TEXT           stop before TEXT; may be given several times
  --max-time SECONDS    stop after so long
  --speculate           guess from what the text repeats: the same text, faster if it repeats itself
  --choice TEXT (several times), --regex PATTERN, --json-schema FILE
                        what the text must be; it is valid, or --max-new-tokens has cut it`;

const GENERATE = `Usage: matmulfree generate [prompt] [options]

Writes the prompt and what the model makes of it, token by token, until the text ends or --max-new-tokens is reached; then
one line on stderr: tokens, tokens/s, backend, size of the state, and the seed that gives this text again. Ctrl-C stops it.
Without a prompt, what comes from a pipe is the prompt; - reads it from stdin in any case.

Options:
${MODEL}
  --max-new-tokens N    most tokens to add (default 256); also -n
${WRITING}
                        (FILE may be -, which is stdin)
  --quiet               the text only
Other defaults have serve (those of OpenAI's API: temperature 1, top-p 1) and the library (temperature 0).

Examples:
  matmulfree generate
  matmulfree generate "The sky was" --choice " blue" --choice " grey"
  matmulfree generate "The dragon" --seed 7
  matmulfree generate "Lily found a" --temperature 0 --stop "."
  echo "Tom had a dog" | matmulfree generate`;

const CHAT = `Usage: matmulfree chat --model SOURCE [options]

A conversation with a model, as its chat template has it: write a line, read the answer as it comes. What was said stays in memory as the
model has read it, so that each answer costs what is new. What a model thinks before it answers is dimmed.
From a pipe each line is a message or a command, and stdout has the answers and nothing else.

Keys: arrow up and down for what was written before; Ctrl-C stops an answer, which stays as far as it came, and leaves at an empty line when
it is pressed again; Ctrl-D leaves. Several lines that are pasted are one message.

What is not a message:
${commandList()}

Options:
${MODEL}
  --system TEXT         what the system says before all else
  --load FILE           go on with a conversation that /save has kept
  --chat-template FILE  how a conversation is written (Jinja), in place of the template that came with the model
  --no-thinking         ask for answers without a thought, where the template knows that; hide thoughts
  --max-new-tokens N    most tokens of an answer (default ${CHAT_MAX_NEW_TOKENS}); also -n
${WRITING}
  --quiet               no notes
Where the model's authors have chosen temperature, top-p and the like, those are the defaults. matmulfree models lists models that chat.

Examples:
  matmulfree chat --model hf:tiiuae/Falcon-E-1B-Instruct --system "Answer in one sentence."
  echo "What is a ternary weight?" | matmulfree chat --model model.gguf --temperature 0
  matmulfree chat --model model.gguf --chat-template template.jinja --load talk.chat`;

const SERVE = `Usage: matmulfree serve [options]

Answers requests of OpenAI's API over HTTP, until Ctrl-C: then what runs is finished (a second Ctrl-C ends it at once).
GET /v1/models, POST /v1/chat/completions (models with a chat template), /v1/completions, /v1/embeddings; GET /health.
Requests at the same time share the work, and beginnings that their prompts have in common. Answers can be streamed, and be held
to a JSON Schema (response_format); tools are called as the model's template has it.
What a request leaves out is as in OpenAI's API: temperature 1 and top_p 1, unless the model's authors chose others, and 16 tokens of
/v1/completions; a chat gets up to 1024.

Options:
${MODEL}
  --port N              default ${DEFAULT_PORT}; 0 is any that is free
  --host ADDRESS        where to listen (default ${DEFAULT_HOST}: this machine alone; 0.0.0.0: all of its networks)
  --api-key KEY         what requests must have as "Authorization: Bearer KEY"; better given as MATMULFREE_API_KEY, which others
                        do not see in the list of processes
  --cors ORIGIN         pages of this origin may ask, such as https://example.com; may be given several times, * is all
  --batch-size N        texts at work at the same time, 1 to 64 (default 16)
  --max-queue N         texts that may wait; more are told to try again later (default 512)
  --chat-template FILE  how a conversation is written (Jinja), in place of the template that came with the model
  --name NAME           what the model is called in requests and answers (default: that of its file)
  --quiet               no line about where it listens, and no progress

Examples:
  matmulfree serve --model hf:owner/name
  curl http://127.0.0.1:8080/v1/completions -H 'content-type: application/json' -d '{"prompt": "The dragon", "max_tokens": 50}'
  curl http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"messages": [{"role": "user", "content": "Hi"}], "stream": true}'

With the package openai, in JavaScript:
  const client = new OpenAI({ baseURL: 'http://127.0.0.1:8080/v1', apiKey: 'none' });
  const { id: model } = (await client.models.list()).data[0];
  await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hi' }] });`;

const SCORE = `Usage: matmulfree score (--text-file FILE | --ids FILE.json | -) [options]

Predicts each token of a text from those before it and adds up how surprised the model was (natural logarithms).
A text file is one sequence, with the tokenizer's BOS in front. An ids file holds a JSON array of arrays of token ids; each
sequence is predicted from its own first id. - is stdin, as the FILE too; without any of them, what comes from a pipe is the text.

Options:
${MODEL}
  --text-file FILE      UTF-8 text, or UTF-16 with a byte order mark
  --ids FILE.json       [[1, 496, ...], ...]
  --json                {"sequences", "tokens", "nll", "perplexity"} on stdout
  --quiet               no progress

Example:
  matmulfree score --model model.gguf --text-file story.txt --json`;

const PERPLEXITY = `Usage: matmulfree perplexity (--text-file FILE | -) [options]

Reads a text piece by piece, in memory that does not grow with it, and tells the perplexity per token and word, and the
bits per byte (the last two can be compared between models with different tokenizers). Each token is predicted from all before it: the
state runs on. With --context, from a window of so many tokens, as Transformers are measured: a model with attention needs that for a text
that is longer than it can take. - is stdin; so is a pipe, without a FILE.

Options:
${MODEL}
  --text-file FILE      UTF-8 text, or UTF-16 with a byte order mark, taken as one document
  --context N           windows of N tokens, each read from an empty state
  --stride M            the next window begins M tokens on (default N); each token is predicted once, in the first window that has it
  --json                {"tokens", "nll", "perplexity", "bytes", "bits_per_byte", "byte_perplexity", "words", "word_perplexity"}
  --quiet               no progress

Example:
  matmulfree perplexity --text-file wiki.test.raw --context 2048 --stride 512`;

const EVAL = `Usage: matmulfree eval --task FILE.jsonl [options]

Runs a zero-shot task, scored as EleutherAI's lm-evaluation-harness does it. Each line of the file is an item as JSON, all of one kind:

  {"context": "Question: ...\\nAnswer:", "choices": ["...", "..."], "label": 0}     acc, acc_norm
  {"contexts": ["...", "..."], "continuation": "...", "label": 0}                  acc (as WinoGrande has it)
  {"text": "... the last word"} or {"context": "...", "target": "word"}            acc, perplexity (as LAMBADA has it)

label is the index of the right one, from 0. What follows ± is the standard error. Ctrl-C shows what has been found so far.

Options:
${MODEL}
  --task FILE.jsonl     the items; - is stdin, and so is a pipe, without a FILE
  --limit N             the first N items only
  --delimiter TEXT      what stands between context and choice or target (default: a space)
  --no-bos              no BOS token before the context, as older versions of the harness have it by default
  --json                {"task", "kind", "items", "total", "acc", "acc_stderr", ...} on stdout
  --quiet               no progress

Example:
  matmulfree eval --task arc_easy.jsonl --model hf:ridger/MMfreeLM-370M`;

const INFO = `Usage: matmulfree info [PATH | --model PATH] [options]

With a PATH alone, lists what the file or folder says about itself, without loading it: metadata, and the tensors with their
types, shapes and bytes. Any GGUF (one file, or any part of a split one) or safetensors file (or folder) will do. With --weights:
how many weights of each ternary tensor are -1, 0 and +1, and their scales.

Otherwise loads a model and shows its family, what was decided in reading it and why, parameters, the share of zeros in each
layer, bytes in memory, what is kept of a text, and what a token costs: additions of the ternary products, multiplications of all
else.

Options:
${MODEL}
  --weights             of a PATH: read all weights, and count them
  --json                all of it as JSON on stdout
  --quiet               no progress

Examples:
  matmulfree info --model ./MMfreeLM-370M
  matmulfree info mmfree-370m.gguf`;

const CONVERT = `Usage: matmulfree convert --model SOURCE --out FILE.gguf [options]
       matmulfree convert --model SOURCE --out FOLDER --type safetensors [options]

Quantises a checkpoint to ternary weights, exactly as the model does when it runs, and writes one GGUF file with the tokenizer
inside; or a folder with config.json, model.safetensors and the tokenizer's files, four weights to a byte as Hugging Face transformers
keeps those of BitNet models. A model loaded from it gives the same logits, bit for bit: a few forward passes of both are
compared at the end, before the file or folder gets its name. The same input gives the same bytes.

Options:
  --model SOURCE        a folder in Hugging Face layout or a .gguf file, on disk or under a URL, or hf:owner/name[@revision]
  --out NAME            written beside its name first, and put in place when it is whole; a file there is replaced, a folder
                        must be new or empty
  --type TYPE           TQ2_0 (2 bits a weight, loads faster), TQ1_0 (1.7 bits, smaller), or safetensors; for models with scales for
                        groups of columns (Ternary Bonsai, TriLM) also Q2_0, which llama.cpp reads, and PQ2_0 (smaller).
                        Default: TQ2_0, for such models Q2_0. What a type cannot hold exactly is refused
  --name NAME           the model's name in a GGUF file (default: the name of the folder)
${I2S}
  --no-check            leave the comparison out; of a large float model it takes as long as the rest
  --quiet               no progress

Examples:
  matmulfree convert --model ./MMfreeLM-370M --out mmfree-370m.gguf
  matmulfree convert --model ./MMfreeLM-370M --out MMfreeLM-370M-packed --type safetensors`;

const PRUNE = `Usage: matmulfree prune (--text-file FILE | --ids FILE.json) [what to leave out] [--out FILE.gguf] [options]

Layers differ in what they do. The token mixer of a layer (attention, or the recurrence that stands for it) and its channel mixer (the
feed-forward part) each add something to what passes through. Where input and output are nearly the same, one may be dispensable: "What
Matters in Transformers?" (He et al., 2024) found it for half of the attention of large float models. Whether it is so for yours is measured here:

  matmulfree prune --model M --text-file T          how similar input and output of each part are (a cosine, 1: the same)
  ... --drop 2                                      and the perplexity of T without the two token mixers that change least, before and after
  ... --drop 2 --out smaller.gguf                   and the file, which loads like any other

Measured once, on the whole model; nothing is trained again. What is left out takes no memory and no time, neither as weights nor as state
or keys and values; the rest computes as before. The file says what is missing: the keys drop_attn_list and drop_mlp_list of config.json, in
GGUF files ARCHITECTURE.drop_attn_list and .drop_mlp_list. A model that has lost layers can lose more.

What to leave out:
  --drop N              the N that change least
  --of KIND             token-mixers (default), channel-mixers, blocks (both mixers of a layer), or mixers (of both kinds, whichever change least)
  --token-mixers LIST, --channel-mixers LIST, --blocks LIST
                        these layers in place of --drop, from 0: 2,5,7

Options:
${MODEL}
  --text-file FILE      a text like those that the model is for; - is stdin. Perplexity is measured on it too: a text that it was not chosen
                        by (--token-mixers LIST) judges more strictly
  --ids FILE.json       [[1, 496, ...], ...] in place of a text, each read by itself
  --context N           windows of N tokens, each read from an empty state (default: what the model was trained with, at most 2048)
  --out NAME            a .gguf file, or with --type safetensors a folder in Hugging Face layout; loaded and measured before it gets its name
  --type TYPE           as of convert
  --svg FILE            a picture of the table
  --json                the figures as JSON on stdout
  --quiet               no progress

Examples:
  matmulfree prune --text-file story.txt --svg layers.svg
  matmulfree prune --text-file story.txt --drop 1 --of channel-mixers
  matmulfree prune --model model.gguf --text-file story.txt --blocks 5,6 --out shorter.gguf`;

const MODELS = `Usage: matmulfree models [--json]

Lists published ternary models that this version is made for: the name that --model takes, parameters, the download, memory of the
weights and of each 1,000 tokens of text, licence, and what they are good for. Nothing is downloaded.

Options:
  --json                the list as JSON on stdout, in bytes; roomForTokens is null where a text takes no more as it grows

Examples:
  matmulfree models
  matmulfree generate "The history of" --model hf:ridger/MMfreeLM-370M`;

const CACHE = `Usage: matmulfree cache list [--json]
       matmulfree cache clear [NAME ...]

Models from the Hub and from URLs are downloaded once and kept. \`list\` shows them with their sizes; \`clear\` removes those that
are named as \`list\` shows them, or all. A download that was interrupted goes on where it was the next time.

They lie in the folder MATMULFREE_CACHE, if that is set, or else in the user's cache folder, and may be loaded from there by path.

Options:
  --json                the list as JSON on stdout
  --quiet               clear without a word

Examples:
  matmulfree cache list
  matmulfree cache clear hf:ridger/MMfreeLM-370M`;

export const HELP = {
  general: GENERAL, generate: GENERATE, chat: CHAT, serve: SERVE, score: SCORE, perplexity: PERPLEXITY, eval: EVAL, info: INFO, convert: CONVERT, prune: PRUNE, models: MODELS, cache: CACHE,
} as const;
