/*
 * Templates of the forms that models have, in our own words: the published ones are in ../shared.
 */

export const CHATML = `{% for message in messages %}
{{ '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
`;

/** As Llama 3 has it: the beginning of the text is part of it. */
export const LLAMA3 = `{%- if messages[0]['role'] == 'system' -%}
  {%- set system = messages[0]['content'] | trim -%}
  {%- set rest = messages[1:] -%}
{%- else -%}
  {%- set system = none -%}
  {%- set rest = messages -%}
{%- endif -%}
{{- bos_token -}}
{%- macro turn(role, content) -%}
  {{- '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' + content | trim + '<|eot_id|>' -}}
{%- endmacro -%}
{%- if system is not none %}{{ turn('system', system) }}{% endif -%}
{%- for message in rest -%}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{- raise_exception('roles must alternate, user first') -}}
  {%- endif -%}
  {{- turn(message['role'], message.content) -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{ turn('assistant', '').removesuffix('<|eot_id|>') }}{% endif -%}`;

/** As Qwen3 has it: tools, thoughts, of which those before the last question are dropped, results of tools as a user's turn. */
export const QWEN3 = `{%- set ns = namespace(last=messages | length - 1, found=false) %}
{%- if tools %}
  {{- '<|im_start|>system\\n' }}
  {%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
  {{- '# Tools\\n\\n<tools>' }}
  {%- for tool in tools %}
    {{- '\\n' ~ tool | tojson }}
  {%- endfor %}
  {{- '\\n</tools><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
  {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages[::-1] %}
  {%- set index = messages | length - 1 - loop.index0 %}
  {%- if not ns.found and message.role == 'user' and message.content is string and not message.content.startswith('<tool_response>') %}
    {%- set ns.found = true %}
    {%- set ns.last = index %}
  {%- endif %}
{%- endfor %}
{%- for message in messages %}
  {%- set content = message.content if message.content is string else '' %}
  {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
  {%- elif message.role == 'assistant' %}
    {%- set thought = '' %}
    {%- if message.reasoning_content is defined and message.reasoning_content is not none %}
      {%- set thought = message.reasoning_content %}
    {%- elif '</think>' in content %}
      {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
      {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if loop.index0 > ns.last and (loop.last or thought) %}{{ '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}{% endif %}
    {{- content }}
    {%- for call in message.tool_calls or [] %}
      {%- if not loop.first or content %}{{ '\\n' }}{% endif %}
      {%- set call = call.function if call.function else call %}
      {{- '<tool_call>\\n{"name": "' ~ call.name ~ '", "arguments": ' }}
      {{- call.arguments if call.arguments is string else call.arguments | tojson }}
      {{- '}\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
  {%- elif message.role == 'tool' %}
    {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
    {{- '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}
    {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|im_start|>assistant\\n' }}
  {%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}`;
