/** What somebody said in a conversation, in the form of OpenAI's chat completions, which templates take. */
export interface ChatMessage {
  /** "system", "user", "assistant", "tool". */
  readonly role: string;
  /** A text; or parts, of which text is taken. */
  readonly content?: string | readonly ChatContentPart[] | null | undefined;
  /** Of an answer: what was thought before it. */
  readonly reasoning_content?: string | undefined;
  /** Of an answer: calls of tools. */
  readonly tool_calls?: readonly ChatToolCall[] | undefined;
  /** Of a tool's result: the call's id, and the tool's name. */
  readonly tool_call_id?: string | undefined;
  readonly name?: string | undefined;
}

export interface ChatContentPart {
  readonly type: 'text';
  readonly text: string;
}

export interface ChatToolCall {
  readonly id?: string | undefined;
  readonly type?: 'function' | undefined;
  readonly function: ToolCall;
}

/** A call of a tool. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** A tool that a model may call. */
export interface ChatTool {
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly description?: string | undefined;
    /** A JSON Schema of the arguments. */
    readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  };
}
