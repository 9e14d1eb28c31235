// The server's API, as any client of OpenAI's would use it. Addresses are relative, so
// that the page also works where the application is mounted below a path.

import { loadKey } from "./storage.js";

const MAX_SILENCE = 60_000; // milliseconds; the server says something every second

/** The server has refused a request. */
export class RefusedError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  get wantsKey() {
    return this.status === 401;
  }
}

/** The server could not be reached, or a stream ended before its end. */
export class LostError extends Error {}

/** Return the names of the server's models. */
export async function fetchModels() {
  const { data } = await fetchJSON("v1/models");
  return data.map((model) => model.id);
}

/** Return the names of the models that are in memory. */
export async function fetchLoaded() {
  const { models } = await fetchJSON("api/ps");
  return models.map((model) => model.name);
}

/** Return a model's context length and default options; loads it if it is not in memory. */
export async function fetchDefaults(model) {
  const query = new URLSearchParams({ model });
  const { default_generation_settings: settings } = await fetchJSON(`props?${query}`);
  return settings;
}

/**
 * Yield what happens to an answer: objects with `begun`, `progress` (0 to 1), `text`,
 * `reasoning`, `call`, `reason` or `usage`.
 */
export async function* streamAnswer(body, signal) {
  const response = await fetched("v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  yield { begun: true };
  for await (const data of eventsOf(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new RefusedError(chunk.error.message, 0);
    yield* happenings(chunk);
  }
  throw new LostError("The connection ended before the answer did.");
}

function* happenings(chunk) {
  if (chunk.prompt_progress) yield { progress: chunk.prompt_progress.share };
  if (chunk.usage) yield { usage: chunk.usage };
  for (const { delta, finish_reason: reason } of chunk.choices ?? []) {
    if (delta?.reasoning_content) yield { reasoning: delta.reasoning_content };
    if (delta?.content) yield { text: delta.content };
    for (const call of delta?.tool_calls ?? []) yield { call: call.function };
    if (reason) yield { reason };
  }
}

/** Yield the data of server-sent events; comments and other fields are passed over. */
async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { done, value } = await read(reader);
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
    }
  } finally {
    reader.cancel().catch(() => {}); // the server then ends the text
  }
}

/** Read the next bytes. A network that is gone may tell neither side: then none come. */
async function read(reader) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new LostError("The server says nothing.")), MAX_SILENCE);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (error) {
    throw asLost(error, "The connection was lost.");
  } finally {
    clearTimeout(timer);
  }
}

async function fetchJSON(path) {
  const response = await fetched(path);
  return response.json();
}

async function fetched(path, options = {}) {
  const key = loadKey();
  const headers = { ...options.headers, ...(key && { authorization: `Bearer ${key}` }) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    throw asLost(error, "The server cannot be reached.");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Return an error of the network as one of ours; that of an ended request stays. */
function asLost(error, message) {
  const isKnown = error.name === "AbortError" || error instanceof LostError;
  return isKnown ? error : new LostError(message);
}

async function refusal(response) {
  let message = `${response.status} ${response.statusText}`;
  try {
    const { error } = await response.json();
    message = error.message ?? error;
  } catch {
    // a proxy has answered: its status is all that is known
  }
  return new RefusedError(message, response.status);
}
